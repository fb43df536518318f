"""What a receiver was told is what fired: no label lost, in its own group, at the receiver that the payload names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.drills.synthetic_run import END_AT, FAULT_AT, LABELS, passing_events, spec, timeline
from tiercli.drills.judge.notifications import NOTIFICATION_CHECK, judge_payload
from tiercli.drills.judge.verdict import judge
from tiercli.drills.record.events import Notified
from tiercli.drills.record.result import Outcome

TOLD = Notified(
    at=FAULT_AT + 4.5,
    receiver="platform-pager",
    status="firing",
    alert="ProviderDown",
    labels=LABELS,
    group_key="{}:{provider}",
    group_labels={"provider": "anthropic"},
    named="platform-pager",
)
RESOLVED = replace(TOLD, at=END_AT - 3, status="resolved")


@pytest.mark.parametrize(
    "told",
    [
        (TOLD, RESOLVED),
        (replace(TOLD, labels=LABELS | {"cluster": "eu"}),),
        (replace(TOLD, named="monitoring/tiercli/platform-pager"),),
        (TOLD, replace(RESOLVED, receiver="platform-channel", named="platform-channel", group_key="other")),
    ],
    ids=["as it fired", "external labels", "an operator's names", "two receivers"],
)
def test_what_arrived_whole_passes(told: Sequence[Notified]) -> None:
    assert judge_payload([LABELS], told).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            (replace(TOLD, labels={name: value for name, value in LABELS.items() if name != "region"}),),
            "platform-pager was notified with region=nothing; the alert fired with ap-south-1",
        ),
        (
            (replace(TOLD, labels=LABELS | {"severity": "notify"}),),
            "platform-pager was notified with severity=notify; the alert fired with page",
        ),
        (
            (replace(TOLD, group_labels={"provider": "openai"}),),
            "platform-pager was notified with the group provider=openai, to which it does not belong",
        ),
        ((replace(TOLD, named="other"),), "what arrived at platform-pager was meant for other"),
        (
            (TOLD, replace(RESOLVED, group_key="{}:{region}")),
            "platform-pager was notified of it in 2 groups: what ended there is not what began",
        ),
    ],
    ids=["a label lost", "a label changed", "another's group", "another's receiver", "resolved in another group"],
)
def test_what_arrived_otherwise_fails(told: Sequence[Notified], said: str) -> None:
    step = judge_payload([LABELS], told)
    assert (step.outcome, step.message) == (Outcome.FAILED, said)


def test_a_run_whose_receiver_was_told_less_than_fired_fails() -> None:
    less = {name: value for name, value in LABELS.items() if name != "severity"}
    events = [
        replace(event, labels=less) if isinstance(event, Notified) and event.alert == "ProviderDown" else event
        for event in passing_events()
    ]
    result = judge(spec(), timeline(events))
    assert result.outcome is Outcome.FAILED
    assert any("severity=nothing" in reason for reason in result.reasons), result.reasons
    assert NOTIFICATION_CHECK in [step.name for step in judge(spec(), timeline(passing_events())).expectations[0].steps]

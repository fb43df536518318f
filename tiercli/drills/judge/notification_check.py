"""What a receiver was told, held against what fired: the alert whole, in its own group, at the receiver that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tiercli.drills.record.events import Notified
from tiercli.drills.record.result import Outcome, Step

NAME = "told what fired"


def judge_payload(fired: Sequence[Mapping[str, str]], told: Sequence[Notified]) -> Step:
    """`fired`: the labels of each alert at Prometheus that was expected; `told`: every notification of them. Prometheus may add labels of its own
    on the way (external_labels); none may be lost or changed."""
    wrong = list(dict.fromkeys(_wrong(fired, told)))
    said = "; ".join(wrong) if wrong else "every label arrived, in one group"
    return Step(name=NAME, outcome=Outcome.FAILED if wrong else Outcome.PASSED, said=said)


def _wrong(fired: Sequence[Mapping[str, str]], told: Sequence[Notified]) -> Iterator[str]:
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], set[str]] = {}
    for one in told:
        for name, value in _differences(fired, one.labels):
            yield f"{one.receiver} was told {name}={one.labels.get(name) or 'nothing'}, and it fired with {value}"
        for name, value in one.group_labels.items():
            if one.labels.get(name, "") != value:
                yield f"{one.receiver} was told of the group {name}={value}, to which it does not belong"
        # An operator of Kubernetes puts a namespace before the name: namespace/configuration/name.
        if one.named and one.named.rpartition("/")[2] != one.receiver:
            yield f"what arrived at {one.receiver} was meant for {one.named}"
        if one.group_key:
            groups.setdefault((one.receiver, tuple(sorted(one.labels.items()))), set()).add(one.group_key)
    for (receiver, _), keys in groups.items():
        if len(keys) > 1:
            yield f"{receiver} was told of it in {len(keys)} groups: what ended there is not what began"


def _differences(fired: Sequence[Mapping[str, str]], told: Mapping[str, str]) -> list[tuple[str, str]]:
    """The labels of the alert that was meant, which is the one most like it, that did not arrive as they were."""
    lost = [[(name, value) for name, value in one.items() if told.get(name) != value] for one in fired]
    return min(lost, key=len, default=[])

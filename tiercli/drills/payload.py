"""What a receiver was told, held against what fired: the alert whole, in its own group, at the receiver that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tiercli.drills.result import Outcome, Step
from tiercli.drills.timeline import Notified

NAME = "told what fired"


def judge_payload(fired: Mapping[str, str], told: Sequence[Notified]) -> Step:
    """`fired`: the labels of the alert at Prometheus; `told`: every notification of it. Prometheus may add labels of its own
    on the way (external_labels); none may be lost or changed."""
    wrong = list(dict.fromkeys(_wrong(fired, told)))
    said = "; ".join(wrong) if wrong else "every label arrived, in one group"
    return Step(name=NAME, outcome=Outcome.FAILED if wrong else Outcome.PASSED, said=said)


def _wrong(fired: Mapping[str, str], told: Sequence[Notified]) -> Iterator[str]:
    groups: dict[str, set[str]] = {}
    for one in told:
        for name, value in fired.items():
            found = one.labels.get(name)
            if found != value:
                yield f"{one.receiver} was told {name}={found or 'nothing'}, and it fired with {value}"
        for name, value in one.group_labels.items():
            if one.labels.get(name, "") != value:
                yield f"{one.receiver} was told of the group {name}={value}, to which it does not belong"
        # An operator of Kubernetes puts a namespace before the name: namespace/configuration/name.
        if one.named and one.named.rpartition("/")[2] != one.receiver:
            yield f"what arrived at {one.receiver} was meant for {one.named}"
        if one.group_key:
            groups.setdefault(one.receiver, set()).add(one.group_key)
    for receiver, keys in groups.items():
        if len(keys) > 1:
            yield f"{receiver} was told of it in {len(keys)} groups: what ended there is not what began"

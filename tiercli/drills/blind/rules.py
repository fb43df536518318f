"""Which panel shows which kind of fault, and what it must show. To add a kind: a function, and its line in RULES.

A rule sees panels as an on-call does, before and now, and nothing else: no raw metric, no alert, no catalog. In RULES, what
only one fault can bring about comes before what several can: a provider that is gone also makes others slower and tenants
dearer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tiercli.conventions import GATEWAY_JOB, SERVERS_JOB
from tiercli.drills.blind import panels
from tiercli.drills.blind.answer import Answer, Culprit, Kind, place
from tiercli.drills.blind.ground import Ground
from tiercli.drills.blind.seen import Finding, Panel, Seen, Shift


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of fault, the panels that show it, and what finds it there. `code`: the error code that tells it from others."""

    kind: Kind
    reads: tuple[Panel, ...]
    find: Callable[[Seen], Iterable[tuple[Culprit, float, list[Shift]]]]
    code: str | None = None

    def findings(self, seen: Seen) -> list[Finding]:
        """What the rule finds, the strongest first."""
        ranked = [
            Finding(Answer(self.kind, culprit), strength, tuple(map(str, shown)))
            for culprit, strength, shown in self.find(seen)
        ]
        return sorted(ranked, key=lambda finding: -finding.strength)


Found = Iterator[tuple[Culprit, float, list[Shift]]]


def _place(shift: Shift) -> Culprit:
    return place(shift.label("provider"), shift.label("region"))


def _ratio(shift: Shift) -> float:
    """How many times what it was; 1 where that is not known."""
    return shift.now / shift.was if shift.was > 0 else 1.0


def gateway_down(seen: Seen) -> Found:
    """No healthy instance."""
    for shift in seen.shifts(panels.INSTANCES):
        if shift.now < 0.5 <= shift.was:
            yield Culprit("gateway"), 1.0, [shift]


def replica_missing(seen: Seen) -> Found:
    """Fewer healthy instances, and not none."""
    for shift in seen.shifts(panels.INSTANCES):
        if 0.5 <= shift.now < shift.was - 0.5:
            yield Culprit("gateway"), 1.0, [shift]


def unscraped(seen: Seen) -> Found:
    """Lanes of targets that are not the gateway's are down."""
    down: dict[str, list[Shift]] = {}
    for shift in seen.shifts(panels.SCRAPES):
        if shift.now < 0.5 <= shift.was and shift.label("job") != GATEWAY_JOB:
            name = "servers" if shift.label("job") == SERVERS_JOB else "gpus"
            down.setdefault(name, []).append(shift)
    for name, shifts in down.items():
        yield Culprit("metrics", name), float(len(shifts)), shifts


def unrecorded(seen: Seen) -> Found:
    """Fewer audit records than calls."""
    for shift in seen.shifts(panels.COMPLETE):
        if shift.now < 0.98 and shift.now < shift.was - 0.01:
            yield Culprit("audit log"), 1 - shift.now, [shift]


def wrong_region(seen: Seen) -> Found:
    """More violations than before. The table names the tenant and the region that served it."""
    grown: dict[str, list[Shift]] = {}
    for shift in seen.shifts(panels.VIOLATIONS):
        if shift.now > 1.02 * shift.was + 1:
            grown.setdefault(shift.label("region"), []).append(shift)
    for region, shifts in grown.items():
        yield Culprit("region", region), sum(shift.now - shift.was for shift in shifts), shifts


def worse_evals(seen: Seen) -> Found:
    """A score below what it was and below what it is held to."""
    for shift in seen.shifts(panels.EVALS, " score"):
        held_to = shift.figure.alarm
        if shift.was - shift.now > 0.02 and (held_to is None or shift.now < held_to):
            yield Culprit("alias", shift.label("alias")), shift.was - shift.now, [shift]


def _code(code: str) -> Callable[[Seen], Found]:
    """An error code of a provider that was not there before. The board is opened for each lane of the home board."""

    def find(seen: Seen) -> Found:
        for shift in seen.shifts(panels.CODES, code=code):
            if shift.now > 2 * shift.was + 0.05:
                yield _place(shift), shift.now, [shift]

    return find


def throttled(seen: Seen) -> Found:
    """A share of 429 above the alarm."""
    for shift in seen.shifts(panels.THROTTLED, " throttled"):
        if shift.now > max(2 * shift.was, 0.02):
            yield _place(shift), shift.now, [shift]


def unclassified(seen: Seen) -> Found:
    """Unknown failures, more than chance."""
    for shift in seen.shifts(panels.UNCLASSIFIED):
        if shift.now > 2 * shift.was + 1.5:
            yield _place(shift), shift.now, [shift]


def _candidate(seen: Seen, alias: str) -> Shift | None:
    """The row of who answers an alias most."""
    return max(seen.shifts(panels.CANDIDATES, alias=alias), key=lambda shift: shift.now, default=None)


def _answering(seen: Seen, alias: str) -> Culprit:
    """Who answers an alias most; where that is not to be seen, the alias."""
    most = _candidate(seen, alias)
    return Culprit("alias", alias) if most is None else _place(most)


def refusals(seen: Seen) -> Found:
    """An alias is refused more often; whoever answers it refuses."""
    for shift in seen.shifts(panels.REFUSALS, " refused"):
        if shift.now > 2 * shift.was + 0.03:
            yield _answering(seen, shift.label("alias")), shift.now, [shift]


def quota(seen: Seen) -> Found:
    """A bucket that is full, or nearly."""
    for shift in seen.shifts(panels.QUOTA, " used"):
        if shift.now >= 0.9 > shift.was:
            yield Culprit("tenant", shift.label("tenant")), shift.now - shift.was, [shift]


def overloaded(seen: Seen) -> Found:
    """A queue, in front of GPUs that are busy. Who is asked for more than it carries, is the place that answers late or fails."""
    queues = [shift for shift in seen.shifts(panels.QUEUE, " waiting") if shift.now > max(10.0, 2 * shift.was)]
    busy = [shift for shift in seen.shifts(panels.GPUS) if shift.now >= 0.7 and shift.now > shift.was + 0.15]
    if not queues or not busy:
        return
    models = {queue.label("model") for queue in queues}
    slow = [shift for shift in seen.shifts(panels.LATENCY, " p95") if shift.label("model") in models and shift.was]
    if slow:
        worst = max(slow, key=_ratio)
        yield _place(worst), sum(queue.now for queue in queues), [*queues, busy[0], worst]


def unreachable(seen: Seen) -> Found:
    """Every call to a place fails."""
    for shift in seen.shifts(panels.ERRORS, " errors"):
        if shift.now >= 0.95 and shift.was < 0.5:
            yield _place(shift), shift.now, [shift]


def server_unreachable(seen: Seen) -> Found:
    """A server finishes nothing any more, and another does."""
    shifts = [shift for shift in seen.shifts(panels.FINISHED) if shift.was > 0.5]
    alive = [shift for shift in shifts if shift.now > 0.5 * shift.was]
    for shift in shifts:
        if alive and shift.now < 0.1 * shift.was:
            yield Culprit("server", shift.label("server")), shift.was, [shift]


def _fails_with(code: str, seen: Seen) -> Found:
    """A share of a place's calls fails, above the alarm and above chance, and mostly with `code`."""
    for shift in seen.shifts(panels.ERRORS, " errors"):
        if shift.now <= max(0.05, shift.figure.alarm or 0.0, 2 * shift.was):
            continue
        codes = list(seen.shifts(panels.CODES, provider=shift.label("provider"), region=shift.label("region")))
        grown = sorted(codes, key=lambda shift: -(shift.now - shift.was))
        if grown and grown[0].label("code") == code:
            yield _place(shift), shift.now, [shift, grown[0]]


def cut_off(seen: Seen) -> Found:
    """Connections break at a place where other calls succeed."""
    return _fails_with("CONNECTION_FAILED", seen)


def errors(seen: Seen) -> Found:
    """Errors of their own at a place where other calls succeed."""
    return _fails_with("UPSTREAM_ERROR", seen)


def _slower(seen: Seen, panel: Panel, ending: str) -> list[tuple[float, Shift]]:
    """Rows by how many times slower they are than before; what all of them share is this machine's doing and left out."""
    shifts = [shift for shift in seen.shifts(panel, ending) if shift.was > 0]
    least = min((_ratio(shift) for shift in shifts), default=1.0) if len(shifts) > 1 else 1.0
    return [(_ratio(shift) / max(1.0, least), shift) for shift in shifts]


def slow(seen: Seen) -> Found:
    """The median of a place is up: whatever is asked takes longer."""
    for ratio, shift in _slower(seen, panels.LATENCY, " p50"):
        if ratio >= 1.6 and shift.now > shift.was + 0.15:
            yield _place(shift), ratio, [shift]


def slow_streams(seen: Seen) -> Found:
    """First tokens come late, and the median is where it was."""
    medians = {_place(shift): ratio for ratio, shift in _slower(seen, panels.LATENCY, " p50")}
    for ratio, shift in _slower(seen, panels.FIRST_TOKEN, " p95"):
        if ratio >= 2 and shift.now > shift.was + 0.3 and medians.get(_place(shift), 1.0) < 1.6:
            yield _place(shift), ratio, [shift]


def _called_as_ever(seen: Seen, alias: str) -> bool:
    """Whether an alias has as many calls as before, and enough for a mean to mean something."""
    return any(0.6 < _ratio(shift) < 1.5 and shift.now >= 100 for shift in seen.shifts(panels.ALIAS_CALLS, alias=alias))


def answer_length(seen: Seen) -> Found:
    """Answers of another length, while as many are asked for: other callers have other answers."""
    for shift in seen.shifts(panels.LENGTH, " mean"):
        ratio = _ratio(shift)
        alias = shift.label("alias")
        if ratio > 0 and not 0.7 < ratio < 1.4 and _called_as_ever(seen, alias):
            yield _answering(seen, alias), max(ratio, 1 / ratio), [shift]


def _asking_more(seen: Seen) -> dict[str, Shift]:
    """Tenants whose tokens have grown to several times what they were, by as much as others would notice; the row that says so
    most."""
    shifts = sorted(seen.shifts(panels.TENANT_TOKENS), key=_ratio)
    whole = sum(shift.was for shift in shifts)
    return {
        shift.label("tenant"): shift for shift in shifts if _ratio(shift) >= 3 and shift.now - shift.was > 0.2 * whole
    }


def spend(seen: Seen) -> Found:
    """A tenant costs more, or is new among those that cost most, and its tokens say why."""
    asking = _asking_more(seen)
    for shift in seen.shifts(panels.BY_TENANT):
        tenant = shift.label("tenant")
        if (shift.before is None or _ratio(shift) >= 1.4) and tenant in asking:
            yield Culprit("tenant", tenant), _ratio(asking[tenant]), [shift, asking[tenant]]


def prices(seen: Seen) -> Found:
    """Calls of an alias cost more, though nobody asks for more. Whoever answers it has become dearer."""
    if _asking_more(seen):
        return
    dearer: dict[str, list[Shift]] = {}
    for shift in seen.shifts(panels.ALIAS_COST, " cost"):
        most = _candidate(seen, shift.label("alias"))
        if _ratio(shift) >= 1.7 and most is not None:
            dearer.setdefault(most.label("provider"), []).append(shift)
    for provider, shifts in dearer.items():
        yield Culprit("provider", provider), max(map(_ratio, shifts)), shifts


RULES: tuple[Rule, ...] = (
    Rule(Kind.GATEWAY_DOWN, (panels.INSTANCES,), gateway_down),
    Rule(Kind.REPLICA_MISSING, (panels.INSTANCES,), replica_missing),
    Rule(Kind.UNSCRAPED, (panels.SCRAPES,), unscraped),
    Rule(Kind.AUDIT, (panels.COMPLETE,), unrecorded),
    Rule(Kind.WRONG_REGION, (panels.VIOLATIONS,), wrong_region),
    Rule(Kind.EVAL_SCORE, (panels.EVALS,), worse_evals),
    Rule(Kind.BAD_ANSWERS, (panels.HEALTH, panels.CODES), _code("POSTCONDITION_FAILED"), "POSTCONDITION_FAILED"),
    Rule(Kind.UNCLASSIFIED, (panels.UNCLASSIFIED,), unclassified),
    Rule(Kind.THROTTLED, (panels.THROTTLED,), throttled),
    Rule(Kind.REFUSALS, (panels.REFUSALS, panels.CANDIDATES), refusals),
    Rule(Kind.QUOTA, (panels.QUOTA,), quota),
    Rule(Kind.OVERLOADED, (panels.QUEUE, panels.GPUS, panels.LATENCY), overloaded),
    Rule(Kind.UNREACHABLE, (panels.ERRORS,), unreachable),
    Rule(Kind.UNREACHABLE, (panels.FINISHED,), server_unreachable),
    Rule(Kind.CUT_OFF, (panels.ERRORS, panels.HEALTH, panels.CODES), cut_off, "CONNECTION_FAILED"),
    Rule(Kind.ERRORS, (panels.ERRORS, panels.HEALTH, panels.CODES), errors, "UPSTREAM_ERROR"),
    Rule(Kind.SLOW, (panels.LATENCY,), slow),
    Rule(Kind.SLOW_STREAMS, (panels.FIRST_TOKEN, panels.LATENCY), slow_streams),
    Rule(Kind.ANSWER_LENGTH, (panels.LENGTH, panels.ALIAS_CALLS, panels.CANDIDATES), answer_length),
    Rule(Kind.SPEND, (panels.BY_TENANT, panels.TENANT_TOKENS), spend),
    Rule(Kind.PRICES, (panels.ALIAS_COST, panels.CANDIDATES, panels.TENANT_TOKENS), prices),
)


def diagnose(seen: Seen) -> list[Finding]:
    """What the panels speak for, the likeliest first: rule by rule, within a rule the strongest first."""
    return [finding for rule in RULES for finding in rule.findings(seen)]


def not_shown(ground: Ground) -> dict[Kind, str]:
    """The kinds of faults that no panel of an estate shows, and why."""
    reasons: dict[Kind, str] = {}
    for kind in Kind:
        missing = [_missing(rule, ground) for rule in RULES if rule.kind is kind]
        if all(missing):
            reasons[kind] = missing[0]
    return reasons


def _missing(rule: Rule, ground: Ground) -> str:
    absent = [" / ".join(panel) for panel in rule.reads if not ground.has_panel(panel)]
    if absent:
        return f"no panel {', '.join(absent)}"
    if rule.code is not None and ground.codes is not None and rule.code not in ground.codes:
        return f"the sources here do not tell {rule.code} from other errors"
    return ""

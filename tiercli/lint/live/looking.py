"""Looking at a running Prometheus: what it has loaded, what has data, how far back it remembers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tiercli.catalog.model import Catalog
from tiercli.clients.prometheus import LoadedRule, PrometheusClient
from tiercli.lint.live.blindness import GeneratedRule, Seen, names_to_ask, retention_s
from tiercli.output.differences import Deployed, compare, deployed_rule, ours
from tiercli.signals.label_policy import metric_policies
from tiercli.signals.promql import any_of, matcher

# Hourly series are an hour apart: a sample within two is there.
_LOOK_BACK = "2h"
_NAMES_A_QUERY = 40
_PARTS_OF_METRICS = ("_total", "_bucket", "_sum", "_count")


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen, and what is doubtful beside the alarms: slow rule groups, names that catalog and data do not share."""

    seen: Seen
    version: str
    doubts: tuple[str, ...]


async def look_at(
    prometheus: PrometheusClient, catalog: Catalog, rules: Sequence[GeneratedRule], after: Deployed
) -> Look:
    """Ask `prometheus` for all that judge_alarms needs. `after`: the generated rules, to compare the loaded ones with.

    Raises BackendUnreachable or QueryRejected."""
    loaded = [rule for rule in await prometheus.rules() if ours(rule.group)]
    there = await _with_data(prometheus, names_to_ask(rules))
    exposed: set[str] = set()
    for one in await prometheus.metadata():
        exposed |= {one.metric, *(f"{one.metric}{part}" for part in _PARTS_OF_METRICS)}
    seen = Seen(
        series=frozenset(there),
        exposed=frozenset(exposed),
        retention_s=retention_s(await prometheus.retention()),
        unlike=_unlike(loaded, after),
        failing={rule.name: rule.last_error for rule in loaded if rule.health == "err"},
        alertmanagers=len(await prometheus.alertmanagers()),
    )
    doubts = [*_slow(loaded), *await _names(prometheus, catalog)]
    return Look(seen, await prometheus.version(), tuple(doubts))


async def _with_data(prometheus: PrometheusClient, names: Sequence[str]) -> set[str]:
    there: set[str] = set()
    for start in range(0, len(names), _NAMES_A_QUERY):
        wanted = matcher("__name__", "=~", any_of(list(names[start : start + _NAMES_A_QUERY])))
        found = await prometheus.query(f"count by (__name__) (last_over_time({{{wanted}}}[{_LOOK_BACK}]))")
        there |= {one.labels["__name__"] for one in found}
    return there


def _unlike(loaded: Sequence[LoadedRule], after: Deployed) -> Mapping[str, list[str]]:
    """By rule, how what is loaded differs from what is generated."""
    things: dict[str, dict[str, dict[str, str]]] = {"alert": {}, "record": {}}
    for rule in loaded:
        name, parts = deployed_rule(
            rule.kind,
            rule.name,
            rule.expr,
            rule.group,
            rule.labels,
            rule.annotations,
            rule.for_s,
            rule.keep_firing_for_s,
        )
        things[rule.kind][name] = parts
    unlike: dict[str, list[str]] = {}
    for change in compare(Deployed(things), Deployed({kind: after.things[kind] for kind in things})):
        name = change.name.partition("{")[0]
        if change.kind == "added":
            unlike.setdefault(name, []).append("is not loaded")
        elif change.kind == "changed":
            unlike.setdefault(name, []).append(
                f"has {change.part} {change.before or 'nothing'}, not {change.after or 'nothing'}"
            )
    return unlike


def _slow(loaded: Sequence[LoadedRule]) -> Iterator[str]:
    groups = {rule.group: rule for rule in loaded}
    for name, rule in sorted(groups.items()):
        if rule.group_took_s > rule.group_interval_s:
            took = f"{rule.group_took_s:.3g} s of its {rule.group_interval_s:g} s"
            yield f"rule group {name} takes {took}: evaluations are skipped, and alarms come late"


def _tenant_labels(catalog: Catalog) -> set[str]:
    groups = metric_policies(catalog)["ai_gateway_tenant_requests_total"].recorded
    return {name if groups is None else groups.label(name) for name in catalog.tenants}


async def _names(prometheus: PrometheusClient, catalog: Catalog) -> list[str]:
    """Names in the data that the catalog does not have, and the reverse."""
    doubts: list[str] = []
    offers = {(one.provider, one.model, one.region) for one in catalog.offers()}
    for series, labels, known in (
        ("tier:provider:requests:rate5m", ("provider", "model", "region"), offers),
        ("tier:alias:requests:rate5m", ("alias",), {(name,) for name in catalog.aliases}),
        ("tier:tenant:calls:rate5m", ("tenant",), {(name,) for name in _tenant_labels(catalog)}),
    ):
        found = await prometheus.query(f"group by ({', '.join(labels)}) (last_over_time({series}[{_LOOK_BACK}]))")
        there = {tuple(one.labels.get(label, "") for label in labels) for one in found}
        what = labels[0] if len(labels) == 1 else "provider, model and region"
        for names in sorted(there - known):
            if any(names):
                doubts.append(
                    f"{what} {' / '.join(names)} has data, and is not in the catalog: no threshold, owner or price"
                )
        silent = sorted(known - there)
        if there and silent:
            shown = ", ".join(" / ".join(names) for names in silent[:5]) + (", …" if len(silent) > 5 else "")
            doubts.append(f"{len(silent)} of the catalog's {what} without any data: {shown}")
    return doubts

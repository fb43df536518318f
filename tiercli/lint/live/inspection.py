"""What a running Prometheus has loaded, which series have data, and how long it keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tiercli.catalog.model import Catalog
from tiercli.clients.prometheus import LoadedRule, PrometheusClient
from tiercli.lint.live.blindness import PrometheusState, retention_s, series_needed
from tiercli.output.differences import Deployed, compare, ours, rule_things
from tiercli.signals.label_policy import metric_policies
from tiercli.signals.promql import any_of, matcher
from tiercli.signals.rule import Rule

# Hourly series have a sample an hour: one within two hours counts as data.
_LOOK_BACK = "2h"
_NAMES_A_QUERY = 40
_PARTS_OF_METRICS = ("_total", "_bucket", "_sum", "_count")


@dataclass(frozen=True, slots=True)
class Inspection:
    """The state of a Prometheus, and doubts beside the alarms: slow rule groups, names that only the catalog or only the data
    has."""

    state: PrometheusState
    version: str
    doubts: tuple[str, ...]


async def inspect_prometheus(prometheus: PrometheusClient, catalog: Catalog, rules: Sequence[Rule]) -> Inspection:
    """Query `prometheus` for everything that judge_alarms needs about the generated `rules`.

    Raises BackendUnreachable or QueryRejected."""
    loaded = [entry for entry in await prometheus.rules() if ours(entry.rule.group)]
    series = await _series_with_data(prometheus, series_needed(rules))
    exposed: set[str] = set()
    for metadata in await prometheus.metadata():
        exposed |= {metadata.metric, *(f"{metadata.metric}{part}" for part in _PARTS_OF_METRICS)}
    state = PrometheusState(
        series=frozenset(series),
        exposed=frozenset(exposed),
        retention_s=retention_s(await prometheus.retention()),
        unlike=_differences([entry.rule for entry in loaded], rules),
        failing={entry.rule.name: entry.last_error for entry in loaded if entry.health == "err"},
        alertmanagers=len(await prometheus.alertmanagers()),
    )
    doubts = [*_slow_groups(loaded), *await _name_doubts(prometheus, catalog)]
    return Inspection(state, await prometheus.version(), tuple(doubts))


async def _series_with_data(prometheus: PrometheusClient, names: Sequence[str]) -> set[str]:
    series: set[str] = set()
    for start in range(0, len(names), _NAMES_A_QUERY):
        wanted = matcher("__name__", "=~", any_of(list(names[start : start + _NAMES_A_QUERY])))
        samples = await prometheus.query(f"count by (__name__) (last_over_time({{{wanted}}}[{_LOOK_BACK}]))")
        series |= {sample.labels["__name__"] for sample in samples}
    return series


def _differences(loaded: Sequence[Rule], generated: Sequence[Rule]) -> Mapping[str, list[str]]:
    """By rule, how the loaded rules differ from the generated ones."""
    differences: dict[str, list[str]] = {}
    for change in compare(Deployed(rule_things(loaded)), Deployed(rule_things(generated))):
        name = change.name.partition("{")[0]
        if change.kind == "added":
            differences.setdefault(name, []).append("is not loaded")
        elif change.kind == "changed":
            differences.setdefault(name, []).append(
                f"has {change.part} {change.before or 'nothing'}, not {change.after or 'nothing'}"
            )
    return differences


def _slow_groups(loaded: Sequence[LoadedRule]) -> Iterator[str]:
    for name, entry in sorted({entry.rule.group: entry for entry in loaded}.items()):
        if entry.group_took_s > entry.group_interval_s:
            took = f"{entry.group_took_s:.3g} s of its {entry.group_interval_s:g} s interval"
            yield f"rule group {name} takes {took}: evaluations are skipped, and alarms fire late"


def _tenant_labels(catalog: Catalog) -> set[str]:
    groups = metric_policies(catalog)["ai_gateway_tenant_requests_total"].recorded
    return {name if groups is None else groups.label(name) for name in catalog.tenants}


async def _name_doubts(prometheus: PrometheusClient, catalog: Catalog) -> list[str]:
    """Names in the data that the catalog does not have, and the reverse."""
    doubts: list[str] = []
    offers = {(offer.provider, offer.model, offer.region) for offer in catalog.offers()}
    for series, labels, known in (
        ("tier:provider:requests:rate5m", ("provider", "model", "region"), offers),
        ("tier:alias:requests:rate5m", ("alias",), {(name,) for name in catalog.aliases}),
        ("tier:tenant:calls:rate5m", ("tenant",), {(name,) for name in _tenant_labels(catalog)}),
    ):
        samples = await prometheus.query(f"group by ({', '.join(labels)}) (last_over_time({series}[{_LOOK_BACK}]))")
        with_data = {tuple(sample.labels.get(label, "") for label in labels) for sample in samples}
        what = labels[0] if len(labels) == 1 else "provider, model and region"
        for names in sorted(with_data - known):
            if any(names):
                doubts.append(
                    f"{what} {' / '.join(names)} has data but is not in the catalog: no threshold, owner or price"
                )
        silent = sorted(known - with_data)
        if with_data and silent:
            shown = ", ".join(" / ".join(names) for names in silent[:5]) + (", …" if len(silent) > 5 else "")
            doubts.append(f"{len(silent)} of the catalog's {what} without any data: {shown}")
    return doubts

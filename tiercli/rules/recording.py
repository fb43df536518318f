"""Recording rules: constants of the catalog, the bindings' primitive series, and series derived from them.

If no source of the catalog provides a signal, the signal is unbound: rules that need it are left out and reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from tiercli.catalog.document import parse_document, read_text
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import Catalog
from tiercli.catalog.shape import load_model
from tiercli.errors import InvalidInput
from tiercli.resources import resource_folder
from tiercli.rules.alarm import Alarm, RecordFile
from tiercli.rules.alarm_checks import check_records
from tiercli.rules.alarm_templates import Raw, compiled_template, record_context
from tiercli.rules.constants import CONSTANT_SERIES, EVAL_TARGETS, EXPECTED_TARGETS, constant_records
from tiercli.rules.policies import Policies
from tiercli.rules.tenant_groups import group_tenants
from tiercli.rules.thresholds import threshold_records
from tiercli.signals.bindings import bound_expressions, read_binding
from tiercli.signals.expressions import all_read, reads_of, series_read
from tiercli.signals.promql import quote
from tiercli.signals.recorded import RECORDED_BY_NAME
from tiercli.signals.rule import Rule, recording_rule
from tiercli.signals.sources import BoundSource, catalog_sources, local_targets
from tiercli.signals.timing import Timing

# The group of a primitive series is the group that reads it, so that chains of rules stay short.
_NO_GPUS = "no server of the catalog has GPUs"
_GROUP_OF_LEVEL = {"feature": "spend", "server": "servers", "gpu": "gpus"}
# Only panels read these, and there may be ten thousand tenants: one evaluation a minute is enough.
_USAGE_GROUP, _USAGE_INTERVAL = "usage", "1m"
_USAGE = frozenset({"tier:tenant:calls:rate5m", "tier:tenant:tokens:rate5m", "tier:tenant:zone_violations:increase1d"})

# Each is summed up over days, by the time between evaluations of one group.
_SUMS = frozenset(f"tier:tenant:{quantity}:{part}" for quantity in ("calls", "cost_usd") for part in ("grown", "lead"))


@dataclass(frozen=True, slots=True)
class CanonicalRecords:
    """The canonical layer of one catalog, by group. `intervals`: of the groups with an interval of their own, before time is
    compressed. `unbound`: by series of signals/recorded.py, why it is not recorded."""

    groups: dict[str, list[Rule]]
    intervals: dict[str, str] = field(default_factory=dict)
    unbound: dict[str, str] = field(default_factory=dict)

    def missing(self, expressions: Iterable[str]) -> dict[str, str]:
        """The unbound series that `expressions` read, each with the reason."""
        read = {name for expr in expressions for name in series_read(expr)}
        return {name: self.unbound[name] for name in sorted(read) if name in self.unbound}


def build_records(
    loaded: LoadedCatalog,
    timing: Timing,
    alarms: tuple[Alarm, ...],
    canonical: CanonicalRecords | None = None,
    constants: Iterable[Rule] | None = None,
) -> dict[str, list[Rule]]:
    """Recording rules by group, in the order in which they read each other; `constants` in place of the catalog's own.

    Raises InvalidInput when a binding is unknown, or a record invalid.
    """
    canonical = canonical or canonical_records(loaded, timing)
    groups: dict[str, list[Rule]] = {"meta": list(constant_records(loaded.catalog) if constants is None else constants)}
    for alarm in alarms:
        groups["meta"] += threshold_records(loaded.catalog, alarm)
        groups["meta"] += Policies(loaded.catalog, alarm, timing).records()
    for group, records in canonical.groups.items():
        groups.setdefault(group, []).extend(records)
    for alarm in alarms:
        groups.setdefault(alarm.group, []).extend(record.rule() for record in alarm.records)
        since = Policies(loaded.catalog, alarm, timing).since()
        groups[alarm.group] += [since] if since is not None else []
    return groups


def canonical_records(loaded: LoadedCatalog, timing: Timing) -> CanonicalRecords:
    """The series that the catalog's sources provide, and those derived from them. Raises InvalidInput as build_records."""
    sources = catalog_sources(loaded)
    servers = [server for _, _, server in loaded.catalog.servers()]
    without_gpus = bool(servers) and not any(server.gpus for server in servers)
    if without_gpus:
        sources = [source for source in sources if source.binding.kind != "gpus"]
    groups: dict[str, list[Rule]] = {"gateway": [], "provider": []}
    for record in _bound_records(sources, timing, loaded.catalog):
        groups.setdefault(_group_of(record.name), []).append(record)
    recorded = {record.name for records in groups.values() for record in records} | CONSTANT_SERIES
    unbound = {
        name: _NO_GPUS if without_gpus and series.bound_to == "gpus" else _why_unbound(name, sources)
        for name, series in RECORDED_BY_NAME.items()
        if series.primitive and name not in recorded
    }
    if not any(local_targets(loaded.catalog)):
        unbound[EXPECTED_TARGETS] = "the catalog names no metrics of a local server and no source of gpus"
    if all(alias.eval_baseline is None for alias in loaded.catalog.aliases.values()):
        unbound[EVAL_TARGETS] = "no alias of the catalog has an eval_baseline"
    files = [load_record_file(path.name, timing, loaded) for path in record_paths()]
    derived = [(file.group, record.rule()) for file in files for record in file.records]
    unbound |= _withheld(sources, [record for _, record in derived])
    for group, record in _with_inputs(derived, unbound):
        groups.setdefault(group, []).append(record)
    intervals = {file.group: file.interval for file in files if file.interval is not None}
    intervals[_USAGE_GROUP] = _USAGE_INTERVAL
    return CanonicalRecords({name: records for name, records in groups.items() if records}, intervals, unbound)


def raw_signals(loaded: LoadedCatalog, timing: Timing) -> Raw:
    """What a primitive series is made of here, for an alarm's `departure`: raw("tier:…") in the shortest windows in which a rate sees
    a change, with own_window=True in its own; code="…" picks by a label, without={"code": […]} leaves out. A series that nothing records
    stands for itself."""

    @cache
    def expressions(own_window: bool) -> Mapping[str, str]:
        windows = timing if own_window else replace(timing, shortest_windows=True)
        try:
            records = _bound_records(catalog_sources(loaded), windows, loaded.catalog, checked=False)
        except InvalidInput:
            return {}  # reported where the records are made
        parts: dict[str, list[str]] = {}
        for record in records:
            parts.setdefault(record.name, []).append(record.expr)
        return {name: f"({' or '.join(exprs)})" for name, exprs in parts.items()}

    def raw(
        series: str, *, own_window: bool = False, without: Mapping[str, Iterable[str]] | None = None, **only: str
    ) -> str:
        expr = expressions(own_window).get(series, series)
        for label, value in only.items():
            expr = f"({expr} and on ({label}) {_one(label, value)})"
        for label, values in (without or {}).items():
            expr = f"({expr} unless on ({label}) ({' or '.join(_one(label, value) for value in values)}))"
        return expr

    return raw


def _one(label: str, value: str) -> str:
    return f'label_replace(vector(1), "{label}", {quote(value)}, "", "")'


def record_paths() -> list[Path]:
    """The files of templates/recording/."""
    return sorted((resource_folder("templates") / "recording").glob("*.yml.j2"))


def load_record_file(name: str, timing: Timing, loaded: LoadedCatalog) -> RecordFile:
    """A file of templates/recording/, rendered for a catalog. Raises InvalidInput when a record is invalid."""
    path = resource_folder("templates") / "recording" / name
    template = compiled_template(read_text(path), timing)
    document = parse_document(template.render(record_context(loaded.catalog, timing)), str(path))
    file = load_model(document, RecordFile)
    check_records(
        document,
        [(("records", position, "expr"), record.rule()) for position, record in enumerate(file.records)],
    )
    return file


def _bound_records(sources: list[BoundSource], timing: Timing, catalog: Catalog, *, checked: bool = True) -> list[Rule]:
    """The records of each source. A provider that a console measures is left out of the records of the whole estate, unless the
    console is only for other signals."""
    consoles = [source for source in sources if source.provider is not None]
    records: list[Rule] = []
    for source in sorted(sources, key=lambda source: source.binding.kind == "gateway"):
        binding = source.binding
        expressions = bound_expressions(binding, timing, source.job, catalog.service_level.latency_seconds)
        bound = [recording_rule(name, expr) for name, expr in expressions.items() if name in source.signals]
        if checked:
            document = read_binding(binding.source)
            check_records(document, [(("signals", record.name), record) for record in bound], binding.exposed_series())
        for record in bound:
            if source.of_all:
                record = group_tenants(record, catalog)
            if source.of_all and "provider" in RECORDED_BY_NAME[record.name].labels:
                used = [console for console in consoles if not console.named or record.name in console.signals]
                record = _without(record, [console.provider or "" for console in used])
            records.append(record)
    return records


def _without(record: Rule, providers: list[str]) -> Rule:
    expr = record.expr
    for provider in providers:
        named = quote(provider.replace("$", "$$"))
        expr = f'({expr}) unless on (provider) label_replace(vector(1), "provider", {named}, "", "")'
    return recording_rule(record.name, expr)


def _with_inputs(records: list[tuple[str, Rule]], unbound: dict[str, str]) -> list[tuple[str, Rule]]:
    """The (group, record) pairs whose inputs exist; `unbound` gains every series that no remaining record records."""
    kept = [(group, record) for group, record in records if record.name not in unbound]
    while True:
        missing = [[name for name in series_read(record.expr) if name in unbound] for _, record in kept]
        dropped = {record.name: unbound[names[0]] for (_, record), names in zip(kept, missing, strict=True) if names}
        if not dropped:
            return kept
        kept = [pair for pair, names in zip(kept, missing, strict=True) if not names]
        remaining = {record.name for _, record in kept}
        unbound |= {name: why for name, why in dropped.items() if name not in remaining}


def _withheld(sources: list[BoundSource], derived: list[Rule]) -> dict[str, str]:
    """Derived series without meaning here: every source that their inputs come from declares them unavailable."""
    reads = reads_of(derived)
    measuring = [source for source in sources if source.binding.kind == "gateway"]
    withheld = {}
    for name in sorted({name for source in measuring for name in source.binding.unavailable if name in reads}):
        giving = [source for source in measuring if source.signals & all_read([name], reads)]
        if all(name in source.binding.unavailable for source in giving):
            withheld[name] = _why_unbound(name, giving or measuring)
    return withheld


def _why_unbound(name: str, sources: list[BoundSource]) -> str:
    kind = RECORDED_BY_NAME[name].bound_to
    fitting = [source for source in sources if source.binding.kind == (kind or "gateway")]
    unused = "the catalog uses it for other signals only"
    whys = [(source, unused if name in source.binding.signals else source.binding.why_not(name)) for source in fitting]
    reasons = [f"{source.binding.source}: {why}" for source, why in whys if why is not None]
    if reasons:
        return "; ".join(reasons)
    if not fitting:
        return f"the catalog names no source of {kind}"
    return f"{fitting[0].binding.source} does not have it"


def _group_of(name: str) -> str:
    if name in _USAGE:
        return _USAGE_GROUP
    if name in _SUMS:
        return "month"
    level = name.split(":")[1]
    if ":cost_usd:" in name and level != "provider":
        return "spend"
    return _GROUP_OF_LEVEL.get(level, level)

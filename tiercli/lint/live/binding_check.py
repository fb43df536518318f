"""A binding held against what a target exposes: what differs, and which of its signals cannot be read there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cached_property
from typing import Literal, get_args

from tiercli.cardinality.exposition import Exposed, Shape
from tiercli.cardinality.scraped_metrics import ScrapedMetrics
from tiercli.conventions import GATEWAY_JOB, SERVERS_JOB, source_job
from tiercli.lint.live.blindness import required_series
from tiercli.signals.bindings import Binding, bound_expressions, escaped
from tiercli.signals.exposed import exposed_by
from tiercli.signals.expressions import series_read
from tiercli.signals.parsed import parse
from tiercli.signals.recorded import RECORDED_BY_NAME
from tiercli.signals.timing import Timing
from tiercli.signals.vendor_metrics import created_series

Kind = Literal["missing", "renamed", "type", "missing label", "buckets", "unknown", "new label"]

# How alike two names are, from 0 to 1, that may be one metric: of a binding and of a newer version; of two versions that it names.
_RENAMED, _OTHER_VERSION = 0.8, 0.6


@dataclass(frozen=True, slots=True)
class Difference:
    """`found` in the target where the binding has `accepted`, for `metrics`. `signals`: those that it keeps from being read;
    `readers`: those that read the metric, in some part."""

    kind: Kind
    metrics: tuple[str, ...]
    found: str = ""
    accepted: str = ""
    signals: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BindingCheck:
    """What was found. `there`: metrics of the binding that the target has; `other_version`: those under the names of another
    version; `unread`: signals that cannot be read, by name, and what each lacks; `quiet`: those of rare events that no target shows yet."""

    there: int
    current: int
    series: int
    other_version: tuple[str, ...]
    differences: tuple[Difference, ...]
    unread: Mapping[str, tuple[str, ...]]
    quiet: tuple[str, ...]
    signals: int

    @property
    def holds(self) -> bool:
        """The verdict: every signal of the binding can be read."""
        return not self.unread


@dataclass(frozen=True, slots=True)
class _Expected:
    """A metric of a binding. `buckets`: its bounds, or how many there are at most."""

    type: str
    labels: frozenset[str]
    buckets: tuple[float, ...] | int | None
    older: bool = False


def binding_metrics(binding: Binding) -> ScrapedMetrics:
    """The metrics of a binding, those of other versions too, for read_exposition: also under the names that some clients write."""
    parts: dict[str, str] = {}
    names = []
    for metric in exposed_by(binding):
        names.append(metric.name)
        parts |= dict.fromkeys(metric.series, metric.name)
    # A series that is a metric of its own is no part of another (sglang_token_usage, an older name).
    return ScrapedMetrics(parts=parts | {name: name for name in names})


def check_binding(binding: Binding, exposed: Exposed, shapes: Mapping[str, Shape]) -> BindingCheck:
    """Compare a binding with the text of a target, which was read with its binding_metrics()."""
    return _Check(binding, exposed, shapes).result()


@dataclass(frozen=True)
class _Check:
    binding: Binding
    exposed: Exposed
    shapes: Mapping[str, Shape]
    _found: list[Difference] = field(default_factory=list)

    @cached_property
    def expected(self) -> dict[str, _Expected]:
        binding = self.binding
        expected = {
            metric.name: _Expected(metric.type, frozenset(metric.labels), metric.buckets or None)
            for metric in binding.contract()
        }
        named = [*binding.metrics.items(), *((name, group) for group in binding.unread for name in group.names)]
        for name, one in named:
            expected[name] = _Expected(one.type, frozenset(one.labels), one.buckets, one.older)
        return expected

    @cached_property
    def types(self) -> dict[str, str]:
        """The type of each metric that the text has, with series or without: OpenMetrics leaves _total out where it says it."""
        names = {**{escaped(name): name for name in self.expected}, **{name: name for name in self.expected}}
        types = dict.fromkeys(self.exposed.series, "")
        for name, kind in self.exposed.types.items():
            types[names.get(name, names.get(f"{name}_total", name))] = kind
        made = {created_series(name, kind) for name, kind in types.items() if kind != "gauge"}
        return {name: kind for name, kind in types.items() if name not in made}

    def result(self) -> BindingCheck:
        absent = {name: one for name, one in self.expected.items() if name not in self.types}
        missing = {name: one.type for name, one in absent.items() if not one.older}
        strange = {
            name: self.types[name] for name in self.exposed.series if name in self.types and name not in self.expected
        }
        older = {name: one.type for name, one in self.expected.items() if one.older and name in self.types}
        elsewhere = _alike(missing, older, _OTHER_VERSION)
        renamed = _alike({name: kind for name, kind in missing.items() if name not in elsewhere}, strange, _RENAMED)
        unread, quiet = self._unread()
        for name in missing.keys() - elsewhere.keys():
            signals = tuple(sorted(signal for signal, lacks in unread.items() if name in lacks))
            kind: Kind = "renamed" if name in renamed else "missing"
            readers = tuple(sorted(self.binding.readers(name)))
            self._found.append(Difference(kind, (name,), renamed.get(name, ""), name, signals, readers))
        self._found.extend(self._of_shape(unread))
        for name in strange.keys() - set(renamed.values()):
            series = self.exposed.series[name]
            what = f"{strange[name] or 'untyped'}, {series:,} series that the plan does not count"
            self._found.append(Difference("unknown", (name,), what))
        order = get_args(Kind).index
        self._found.sort(
            key=lambda one: (not one.signals, not one.readers, order(one.kind), one.metrics, one.found, one.accepted)
        )
        current = sum(not one.older for one in self.expected.values())
        return BindingCheck(
            current - len(missing),
            current,
            self.exposed.series.total(),
            tuple(sorted(older)),
            tuple(self._found),
            unread,
            quiet,
            len(self.binding.signals),
        )

    def _unread(self) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
        """Each signal that cannot be read, with the metrics that it lacks; and those of rare events, whose counter may not be there yet."""
        binding = self.binding
        job = {"gateway": GATEWAY_JOB, "servers": SERVERS_JOB}.get(binding.kind, source_job(binding.source))
        family_of = binding_metrics(binding).family
        unread: dict[str, tuple[str, ...]] = {}
        quiet = []
        for signal, expr in bound_expressions(binding, Timing(), job).items():
            read = series_read(expr)
            having = frozenset(name for name in read if self._readable(family_of(name), signal))
            lacks = {family_of(name) for name in required_series(parse(expr), having) if name not in having}
            if not lacks:
                continue
            if RECORDED_BY_NAME[signal].rare and not lacks & self.types.keys():
                quiet.append(signal)
            else:
                unread[signal] = tuple(sorted(lacks))
        return unread, tuple(quiet)

    def _readable(self, name: str, signal: str) -> bool:
        """Whether a metric is there as the expression of a signal reads it; what the binding does not name comes from elsewhere."""
        one = self.expected.get(name)
        if one is None:
            return True
        if name not in self.types or self._other_type(name):
            return False
        needed = {label for label in self._missing_labels(name) if signal in self.binding.readers(name, label)}
        return not needed and not (self._without_bounds(name) and "within" in self.binding.signals[signal])

    def _of_shape(self, unread: Mapping[str, tuple[str, ...]]) -> Iterator[Difference]:
        """Other types, labels and buckets of the metrics that are there."""
        labels: dict[tuple[Kind, str], list[str]] = {}
        for name in self.expected.keys() & self.types.keys():
            one, shape = self.expected[name], self.shapes.get(name)
            blind = {signal for signal, lacks in unread.items() if name in lacks}
            if self._other_type(name):
                readers = tuple(sorted(self.binding.readers(name)))
                yield Difference("type", (name,), self.types[name], one.type, tuple(sorted(blind)), readers)
            if shape is None or name.endswith("_info"):  # the labels of an info metric are what it tells
                continue
            for label in self._missing_labels(name):
                labels.setdefault(("missing label", label), []).append(name)
            for label in shape.labels - one.labels - ({"quantile"} if one.type == "summary" else set()):
                labels.setdefault(("new label", label), []).append(name)
            if (found := self._other_buckets(name)) is not None:
                accepted = _listed(one.buckets) if isinstance(one.buckets, tuple) else f"at most {one.buckets} bounds"
                lost = tuple(sorted(blind)) if self._without_bounds(name) else ()
                yield Difference("buckets", (name,), found, accepted, lost)
        for (kind, label), names in labels.items():
            signals = {
                signal
                for name in names
                for signal in self.binding.readers(name, label)
                if kind == "missing label" and name in unread.get(signal, ())
            }
            found, accepted = (label, "") if kind == "new label" else ("", label)
            yield Difference(kind, tuple(sorted(names)), found, accepted, tuple(sorted(signals)))

    def _other_type(self, name: str) -> bool:
        return self.types[name] not in ("", "untyped", "unknown", self.expected[name].type)

    def _missing_labels(self, name: str) -> frozenset[str]:
        shape = self.shapes.get(name)
        return frozenset() if shape is None else self.expected[name].labels - shape.labels - {*self.binding.optional}

    def _bounds(self, name: str) -> tuple[float, ...]:
        shape = self.shapes.get(name)
        return () if shape is None else tuple(sorted(float(bound) for bound in shape.bounds - {"+Inf"}))

    def _other_buckets(self, name: str) -> str | None:
        bounds, buckets = self._bounds(name), self.expected[name].buckets
        if not bounds or buckets is None or self.expected[name].type != "histogram":
            return None
        differ = _listed(bounds) != _listed(buckets) if isinstance(buckets, tuple) else len(bounds) > buckets
        return _listed(bounds) if differ else None

    def _without_bounds(self, name: str) -> bool:
        """Whether a histogram lacks bounds at which a share within the service level is looked up."""
        there = {f"{bound:g}" for bound in self._bounds(name)}
        return (
            self._other_buckets(name) is not None and not {f"{one:g}" for one in self.binding.duration_buckets} <= there
        )


def _listed(bounds: tuple[float, ...]) -> str:
    """Six digits tell two bounds apart; a client can have counted them up (0.15000000000000002)."""
    return ", ".join(f"{bound:g}" for bound in bounds)


def _alike(wanted: Mapping[str, str], others: Mapping[str, str], least: float) -> dict[str, str]:
    """For names of `wanted` the name of `others`, of the same type, that is most like it; each is given once, the closest first."""
    pairs = sorted(
        (
            (ratio, one, other)
            for one, kind in wanted.items()
            for other, its in others.items()
            if its in ("", kind) and (ratio := SequenceMatcher(None, one, other).ratio()) >= least
        ),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )
    found: dict[str, str] = {}
    for _, one, other in pairs:
        if one not in found and other not in found.values():
            found[one] = other
    return found

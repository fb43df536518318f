"""Source bindings: per canonical signal, the PromQL that yields it from a source's own metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Literal

import jinja2
from pydantic import Field

from tiercli.catalog.document import Document, read_document
from tiercli.catalog.field_types import Model
from tiercli.catalog.names import unknown_name
from tiercli.catalog.shape import load_model
from tiercli.durations import parse_duration
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.resources import resource_folder
from tiercli.signals.contract import CONTRACT, DURATION_BUCKETS, UNCLASSIFIED, Metric, MetricType
from tiercli.signals.error_codes import CODES_BY_STATUS
from tiercli.signals.growth import Growth
from tiercli.signals.promql import matcher, quote
from tiercli.signals.recorded import SourceKind
from tiercli.signals.spoken import Spoken
from tiercli.signals.timing import Timing
from tiercli.signals.vendor_metrics import Exposition

# The binding of a gateway that exposes the canonical contract itself.
CANONICAL_BINDING = "native"
# Labels that a scrape adds to a target's series, and labels that our scrape jobs add beside these.
_SCRAPED = ("job", "instance")
TARGET_LABELS: Mapping[SourceKind, tuple[str, ...]] = {
    "gateway": ("provider",),  # of a console, which measures a single provider
    "servers": ("server", "provider", "region"),
    "gpus": (),
}
# A series that did not exist for this long before a window is new, and its whole value counts: rate() and increase() miss a
# counter's first event. Longer than a usual gap in scraping.
BIRTH_LOOK_BACK = "1h"


class Place(Model):
    """A metric, and which of its labels holds which canonical label."""

    metric: str

    def labels(self) -> dict[str, str]:
        """The source's label by ours, for those that the source has."""
        return {key: str(value) for key, value in self.model_dump(exclude_none=True).items() if key != "metric"}


class OfferPlace(Place):
    """The metric that shows providers, models and regions. Few sources but a native gateway report regions; `deployment`: the
    stable id of each deployment, of a source that has one."""

    provider: str
    model: str
    region: str | None = None
    deployment: str | None = None


class AliasPlace(OfferPlace):
    """The metric that shows which offers answer for an alias, and at which fallback step."""

    alias: str
    step: str | None = None


class TenantPlace(Place):
    """The metric that shows tenants and what they use."""

    tenant: str
    feature: str | None = None
    alias: str | None = None


class Discovery(Model):
    """Where `tiercli catalog init --from-prometheus` finds an estate in the metrics of a source."""

    offers: OfferPlace
    aliases: AliasPlace | None = None
    tenants: TenantPlace | None = None


class Held(Model):
    """A version of a source that its binding was held against, and how: against what a running one exposed, against the code that
    registers its metrics, or against a document. `where`: what was read."""

    version: str = Field(min_length=1)
    by: Literal["scrape", "registry", "document"]
    where: str | None = None


class Binding(Exposition):
    """One file of catalogs/sources/.

    Without `metrics` the source exposes the canonical contract, or what its signals read of it. `signals`: the templates of expressions
    by recorded series.
    `unavailable`: signals that the source does not provide, and why; derived ones too, where their inputs do not suffice.
    Without `discovery` no catalog can be drafted from the source.
    """

    source: str
    kind: SourceKind
    description: str
    held_against: tuple[Held, ...] = Field(
        default=(), description="versions that it was compared with; none where the metrics are tiercli's own"
    )
    console: bool = Field(default=False, description="measures the one provider that its source in the catalog names")
    deployments: str | None = Field(
        default=None, description="what the catalog's gateway.deployments are keyed by, when the source needs them"
    )
    model_from_target: bool = Field(
        default=False,
        description="servers that do not report which model they serve: their scrape targets carry it as `model`",
    )
    duration_buckets: tuple[float, ...] = DURATION_BUCKETS
    codes: tuple[str, ...] | None = Field(
        default=None, description="the error codes that its metrics tell apart; all of the contract if not named"
    )
    signals_of: str | None = Field(
        default=None, description="the binding whose signals these are too, but for those that are unavailable here"
    )
    signals: dict[str, str] = {}
    unavailable: dict[str, str] = {}
    otherwise: str | None = Field(
        default=None, description="why the source does not provide the signals that are not listed"
    )
    discovery: Discovery | None = None
    spoken: Spoken | None = Field(
        default=None, description="how a simulation exposes it; a source of the canonical contract needs nothing here"
    )

    def why_not(self, signal: str) -> str | None:
        """Why the source does not provide a signal; None when its file gives no reason."""
        return self.unavailable.get(signal, self.otherwise)

    def contract(self) -> tuple[Metric, ...]:
        """The metrics of the canonical contract that the source exposes; none where it has metrics of its own."""
        return () if self.metrics else tuple(metric for metric in CONTRACT if self.readers(metric.name))

    def readers(self, metric: str, label: str | None = None) -> list[str]:
        """The signals whose expressions read `metric`; with `label`, those that also name this label."""
        patterns = [rf"(?<![\w:]){re.escape(metric)}(_bucket|_sum|_count)?(?![\w:])"]
        patterns += [rf"(?<!\w){re.escape(label)}(?!\w)"] if label is not None else []
        return [
            signal for signal, text in self.signals.items() if all(re.search(pattern, text) for pattern in patterns)
        ]

    def exposed_series(self) -> dict[str, frozenset[str]]:
        """The labels of every series that an expression of this binding may read, as they are in Prometheus."""
        more = (*_SCRAPED, *TARGET_LABELS[self.kind], *(("model",) if self.model_from_target else ()))
        exposed: dict[str, tuple[str, ...]] = {}
        for name, metric in self.metrics.items():
            exposed |= metric.exposed(name) | metric.exposed(escaped(name))
        return {name: frozenset((*labels, *more)) for name, labels in exposed.items()}

    def series_types(self) -> dict[str, MetricType]:
        """The Prometheus type of every series that the source exposes, by name; a histogram's parts are counters."""
        types: dict[str, MetricType] = {}
        for name, metric in self.metrics.items():
            kind = MetricType.GAUGE if metric.type == "gauge" else MetricType.COUNTER
            types |= dict.fromkeys((*metric.exposed(name), *metric.exposed(escaped(name))), kind)
        for contract_metric in self.contract():
            kind = MetricType.COUNTER if contract_metric.type is MetricType.HISTOGRAM else contract_metric.type
            types |= dict.fromkeys(contract_metric.exposed_names, kind)
        return types


def binding_names() -> list[str]:
    """The bindings that come with tiercli."""
    return sorted(path.stem for path in (resource_folder("catalogs") / "sources").glob("*.yaml"))


def counts_contract(name: str) -> bool:
    """Whether a source of this binding exposes metrics of the canonical contract; unknown bindings are reported elsewhere."""
    return name in binding_names() and bool(known_binding(name).contract())


def load_binding(name: str, used_at: Location) -> Binding:
    """The binding `name`. Raises InvalidInput, at the place where it is used, when it is unknown."""
    if name not in binding_names():
        raise InvalidInput(
            f"unknown source binding {name!r}", [unknown_name("source binding", name, binding_names(), used_at)]
        )
    return known_binding(name)


@cache
def known_binding(name: str) -> Binding:
    """The binding `name`, which must be in binding_names(), with the signals that it has of another; its file is read once."""
    binding = load_model(read_binding(name), Binding)
    if binding.signals_of is None:
        return binding
    theirs = known_binding(binding.signals_of).signals
    kept = {signal: template for signal, template in theirs.items() if signal not in binding.unavailable}
    return binding.model_copy(update={"signals": {**kept, **binding.signals}})


@cache
def read_binding(name: str) -> Document:
    """The file of a binding of binding_names(); it is read once."""
    return read_document(resource_folder("catalogs") / "sources" / f"{name}.yaml")


def bound_expressions(
    binding: Binding,
    timing: Timing,
    job: str,
    service_level_s: float = 5.0,
    template_names: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """PromQL by recorded series, for the scrape job `job`, with windows under `timing`.

    In a binding's templates: {{ job }}, a matcher; {{ within }}, a matcher of the duration bucket at the service level;
    {{ known_status }}, a regular expression of the statuses that have an error code; {{ "5m" | window }} and {{ "5m" | duration }}; {{ "1m" | seconds }}, a number; {{ born(series, labels, window) }}, the increase of a rare-event
    counter whose first event counts, also where it was last seen before a gap or a restart; growth, whose
    methods make sums over days; the functions deployed, relabelled,
    renamed, labelled, coded, recoded and either below; {{ quantile(0.95, buckets) }}. `template_names`: more values for the templates.
    """

    def born(series: str, labels: str, window: str, before: str = BIRTH_LOOK_BACK) -> str:
        span = timing.window(window)
        grown, last = f"increase({series}[{span}])", f"last_over_time({series}[{span}])"
        newborn = f"({last} unless last_over_time({series}[{timing.window(before)}] offset {span}))"
        return f"sum by ({labels}) (({newborn} >= {grown}) or {grown} or {newborn})"

    names = {
        "job": matcher("job", "=", job),
        "growth": Growth(matcher("job", "=", job), timing),
        "within": _within(binding.duration_buckets, service_level_s),
        "born": born,
        "deployed": deployed,
        "undeployed": undeployed,
        "relabelled": relabelled,
        "labelled": labelled,
        "coded": coded,
        "recoded": recoded,
        "known_status": "|".join(CODES_BY_STATUS),
        "quantile": _quantile,
        "either": either,
        "renamed": renamed,
        **(template_names or {}),
    }
    document = read_binding(binding.source)
    expressions = {}
    for record, template in binding.signals.items():
        try:
            rendered = _compiled(template, timing).render(names)
        except (jinja2.TemplateError, ValueError, TypeError) as error:
            place = document.locate(("signals", record))
            raise InvalidInput(
                f"binding {binding.source} cannot be rendered", [Problem(place, f"{record}: {error}")]
            ) from error
        expressions[record] = " ".join(rendered.split())
    return expressions


@lru_cache(maxsize=1024)
def _compiled(template: str, timing: Timing) -> jinja2.Template:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - PromQL, not HTML
    environment.filters["duration"] = timing.duration
    environment.filters["window"] = timing.window
    environment.filters["seconds"] = lambda text: f"{timing.compress(parse_duration(text)):g}"
    return environment.from_string(template)


def deployed(expr: str, *labels: str) -> str:
    """`expr` with the provider, model and region that the catalog gives for the deployment in `labels`: the value of one
    label, or of several joined with slashes."""
    return f"({_with_deployment(expr, labels)} * on (deployment) group_left (provider, model, region) tier:gateway:deployment_info)"


def undeployed(expr: str, *labels: str) -> str:
    """What of `expr`, of counts, has a deployment in `labels` that the catalog does not name, in all; 0 where it names each."""
    unnamed = f"{_with_deployment(expr, labels)} unless on (deployment) tier:gateway:deployment_info"
    return f"(sum({unnamed}) or 0 * sum({expr}))"


def _with_deployment(expr: str, labels: tuple[str, ...]) -> str:
    named = ", ".join(f'"{label}"' for label in labels)
    return f'label_join({expr}, "deployment", "/", {named})'


def escaped(name: str) -> str:
    """A metric's name as some clients write it, with its colons replaced: prometheus_client does in OpenMetrics."""
    return name.replace(":", "_")


def either(template: str, name: str) -> str:
    """`template` with the metric `name` for %s, or its escaped name where only that exists."""
    return f"({template.replace('%s', name)} or {template.replace('%s', escaped(name))})"


def renamed(expr: str, **labels: str) -> str:
    """`expr` where labels take the values of their older names, if those exist: renamed(x, new="old")."""
    for label, older in labels.items():
        expr = f'label_replace({expr}, "{label}", "$1", "{older}", "(.+)")'
    return expr


def relabelled(expr: str, **labels: str) -> str:
    """`expr` with canonical labels that take the values of the source's labels: relabelled(x, alias="requested_model")."""
    for label, theirs in labels.items():
        expr = f'label_replace({expr}, "{label}", "$1", "{theirs}", "(.*)")'
    return expr


def labelled(expr: str, **labels: str) -> str:
    """`expr` with fixed labels: labelled(x, status="failure")."""
    for label, value in labels.items():
        expr = f'label_replace({expr}, "{label}", {quote(value)}, "", "")'
    return expr


def coded(expr: str, label: str, codes: Mapping[str, str] = CODES_BY_STATUS, unknown: str = UNCLASSIFIED) -> str:
    """`expr` with the error code that `codes` gives for a value of `label`, by regular expression; the last match
    wins, `unknown` without a match. Without `codes` the label holds an HTTP status."""
    if label == "code":  # ours, of the source's: read before it is replaced
        expr, label = relabelled(expr, source_code="code"), "source_code"
    return recoded(labelled(expr, code=unknown), label, codes)


def recoded(expr: str, label: str, codes: Mapping[str, str]) -> str:
    """`expr`, which has an error code, with another one where `codes` gives one for the value of `label`."""
    for pattern, code in codes.items():
        expr = f'label_replace({expr}, "code", "{code}", "{label}", {quote(pattern)})'
    return expr


def _quantile(share: float, buckets: str, labels: str = "provider, model, region", per_second: float = 1) -> str:
    """A quantile of a histogram whose buckets' rates are `buckets`, over `labels`, in seconds."""
    quantile = f"histogram_quantile({share}, sum by (le, {labels}) ({buckets}))"
    return quantile if per_second == 1 else f"{quantile} / {per_second:g}"


def _within(buckets: tuple[float, ...], seconds: float) -> str:
    """A matcher of the first bucket that reaches `seconds`. Clients write whole bounds as 5 or as 5.0."""
    bound = next((bucket for bucket in buckets if bucket >= seconds), buckets[-1])
    text = f"{bound:g}"
    return matcher("le", "=~", text.replace(".", r"\.") if "." in text else rf"{text}(\.0)?")

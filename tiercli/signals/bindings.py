"""Source bindings: per canonical signal, the PromQL that yields it from a source's own metrics."""

from __future__ import annotations

import jinja2

from tiercli.catalog.document import Document, read_document
from tiercli.catalog.model import Model
from tiercli.catalog.shape import load_model
from tiercli.catalog.validation import unknown_name
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.resources import resource_folder
from tiercli.signals.promql import matcher
from tiercli.signals.timing import Timing


class Place(Model):
    """A metric, and which of its labels holds which of our names."""

    metric: str

    def labels(self) -> dict[str, str]:
        """The source's label by ours, for those that the source has."""
        return {key: str(value) for key, value in self.model_dump(exclude_none=True).items() if key != "metric"}


class OfferPlace(Place):
    """Where providers, models and regions can be seen. Hardly any source but a gateway of one's own knows regions."""

    provider: str
    model: str
    region: str | None = None


class AliasPlace(OfferPlace):
    """Where it can be seen which offers answer for an alias, and at which fallback step."""

    alias: str
    step: str | None = None


class TenantPlace(Place):
    """Where tenants can be seen, and what they use."""

    tenant: str
    feature: str | None = None
    alias: str | None = None


class Discovery(Model):
    """Where `tiercli catalog init --from-prometheus` finds an estate in the metrics of a source."""

    offers: OfferPlace
    aliases: AliasPlace | None = None
    tenants: TenantPlace | None = None


class Binding(Model):
    """One file of catalogs/sources/. `signals` holds the templates of expressions by recorded series; a signal that a
    source does not have is not there. Without `discovery` no catalog can be drafted from the source."""

    source: str
    description: str
    signals: dict[str, str]
    discovery: Discovery | None = None


def binding_names() -> list[str]:
    """The bindings that come with tiercli."""
    return sorted(path.stem for path in (resource_folder("catalogs") / "sources").glob("*.yaml"))


def load_binding(name: str, used_at: Location) -> Binding:
    """The binding `name`. Raises InvalidInput, at the place where it is used, when there is none of that name."""
    if name not in binding_names():
        raise InvalidInput(
            f"unknown source binding {name!r}", [unknown_name("source binding", name, binding_names(), used_at)]
        )
    return load_model(read_binding(name), Binding)


def read_binding(name: str) -> Document:
    """The file of a binding that is known to be there."""
    return read_document(resource_folder("catalogs") / "sources" / f"{name}.yaml")


def bound_expressions(binding: Binding, timing: Timing, job: str) -> dict[str, str]:
    """PromQL by recorded series, for the scrape job `job`, with windows under `timing`."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - PromQL, not HTML
    environment.filters["duration"] = timing.duration
    environment.filters["window"] = timing.window
    document = read_binding(binding.source)
    expressions = {}
    for record, template in binding.signals.items():
        try:
            rendered = environment.from_string(template).render(job=matcher("job", "=", job))
        except (jinja2.TemplateError, ValueError) as error:
            place = document.locate(("signals", record))
            raise InvalidInput(
                f"binding {binding.source} cannot be rendered", [Problem(place, f"{record}: {error}")]
            ) from error
        expressions[record] = " ".join(rendered.split())
    return expressions

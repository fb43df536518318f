"""The sources of a catalog: the gateway, the local servers, GPUs and consoles, each with its binding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tiercli.catalog.document import KeyPath
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import Catalog
from tiercli.conventions import GATEWAY_JOB, MISSING_EXPORTER, SERVERS_JOB, source_job
from tiercli.errors import InvalidInput, Problem
from tiercli.signals.bindings import Binding, binding_names, known_binding, load_binding


@dataclass(frozen=True, slots=True)
class BoundSource:
    """A source and its binding. `job`: its scrape job; `provider`: the provider that a console measures."""

    name: str
    binding: Binding
    job: str
    provider: str | None = None


class LocalTargets(NamedTuple):
    """Scrape targets of the local tier: the name by which an alert tells which is not there, how many it stands for, and the
    addresses that the catalog gives."""

    job: str
    target: str
    addresses: tuple[str, ...]


def local_targets(catalog: Catalog) -> Iterator[LocalTargets]:
    """The targets of the local tier that a catalog names: each server that exposes metrics, by its name, and the exporters of each
    source of GPUs together. A server's target says which server it is, an exporter's only where it was found."""
    for _, name, server in catalog.servers():
        if server.metrics is not None:
            yield LocalTargets(SERVERS_JOB, name, (server.metrics,))
    known = binding_names()
    for name, source in catalog.sources.items():
        if source.binding in known and known_binding(source.binding).kind == "gpus":
            yield LocalTargets(source_job(name), MISSING_EXPORTER, tuple(dict.fromkeys(source.targets)))


def catalog_sources(loaded: LoadedCatalog) -> list[BoundSource]:
    """Every source that the catalog names, the gateway first. Raises InvalidInput with every binding that is unknown or of the
    wrong kind for its place."""
    sources: list[BoundSource] = []
    problems: list[Problem] = []
    for name, binding, job, provider, path in _named(loaded):
        try:
            source = BoundSource(name, load_binding(binding, loaded.document.locate(path)), job, provider)
        except InvalidInput as error:
            problems += error.problems
            continue
        problems += _misplaced(loaded, source, path)
        sources.append(source)
    problems += _several_models(loaded)
    if problems:
        raise InvalidInput("invalid sources", list(dict.fromkeys(problems)))
    return sources


def _named(loaded: LoadedCatalog) -> Iterator[tuple[str, str, str, str | None, KeyPath]]:
    catalog = loaded.catalog
    yield "gateway", catalog.gateway.binding, GATEWAY_JOB, None, ("gateway", "binding")
    seen = set()
    for name, provider in catalog.providers.items():
        if provider.binding is not None and provider.binding not in seen:
            seen.add(provider.binding)
            yield provider.binding, provider.binding, SERVERS_JOB, None, ("providers", name, "binding")
    for name, source in catalog.sources.items():
        yield name, source.binding, source_job(name), source.provider, ("sources", name, "binding")


def _several_models(loaded: LoadedCatalog) -> Iterator[Problem]:
    """Servers of several models whose metrics do not say which."""
    known = binding_names()
    for name, provider in loaded.catalog.providers.items():
        if provider.binding is None or provider.binding not in known:
            continue
        if known_binding(provider.binding).model_from_target:
            for server, settings in provider.servers.items():
                if len(settings.models) > 1 and settings.metrics is not None:
                    models = (
                        f"{server} serves {len(settings.models)} models, and {provider.binding} does not report which"
                    )
                    yield loaded.problem(("providers", name, "servers", server, "models"), models, "one model")


def _misplaced(loaded: LoadedCatalog, source: BoundSource, path: KeyPath) -> Iterator[Problem]:
    binding, catalog = source.binding, loaded.catalog
    kind = f"binding {binding.source!r} is for {binding.kind}"
    if path[0] == "gateway" and binding.kind != "gateway":
        yield loaded.problem(path, f"{kind}, not for the gateway", "a binding for a gateway: see tiercli sources")
    if path[0] == "providers" and binding.kind != "servers":
        yield loaded.problem(path, f"{kind}, not for local servers", "a binding for servers: see tiercli sources")
    if path[0] == "sources":
        if binding.kind == "servers":
            labels = f"{kind}, whose labels come from the catalog's servers"
            yield loaded.problem(path, labels, "providers.NAME.binding, and `metrics` of each server")
        if binding.kind == "gateway" and source.provider is None:
            twice = f"{kind}; beside the gateway it would count every call twice"
            yield loaded.problem(path[:-1], twice, "`provider`, the provider that it measures instead of the gateway")
        if binding.kind == "gpus" and source.provider is not None:
            yield loaded.problem((*path[:-1], "provider"), f"{kind}, and measures no provider", "no `provider`")
    if binding.deployments and path[0] == "gateway" and not catalog.gateway.deployments:
        missing = f"{binding.source} does not report regions, and gateway.deployments is missing"
        accepted = f"deployments, by {binding.deployments}: provider, model and region of each"
        yield loaded.problem(path[:-1], missing, accepted)

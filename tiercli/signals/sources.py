"""The sources of a catalog: the gateway, the local servers, GPUs and consoles, each with its binding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from typing import NamedTuple

from tiercli.catalog.document import KeyPath
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import Catalog, OtherSource
from tiercli.catalog.names import unknown_name
from tiercli.conventions import GATEWAY_JOB, MISSING_EXPORTER, SERVERS_JOB, source_job
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.signals.bindings import Binding, binding_names, known_binding, load_binding
from tiercli.signals.recorded import RECORDED


@dataclass(frozen=True, slots=True)
class BoundSource:
    """A source and its binding. `job`: its scrape job; `provider`: the provider that a console measures; `named`: the signals that
    the catalog names for it; `signals`: those that are recorded from it."""

    name: str
    binding: Binding
    job: str
    provider: str | None = None
    named: tuple[str, ...] = ()
    signals: frozenset[str] = frozenset()

    @property
    def of_all(self) -> bool:
        """Whether it is of the whole estate, as the gateway is, so that only one such source can give a signal."""
        return self.binding.kind == "gateway" and self.provider is None


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
    for name, source in gpu_sources(catalog).items():
        yield LocalTargets(source_job(name), MISSING_EXPORTER, tuple(dict.fromkeys(source.targets)))


def gpu_sources(catalog: Catalog) -> dict[str, OtherSource]:
    """The sources of GPUs that a catalog names; unknown bindings are reported elsewhere."""
    known = binding_names()
    return {
        name: source
        for name, source in catalog.sources.items()
        if source.binding in known and known_binding(source.binding).kind == "gpus"
    }


def exporters_of(catalog: Catalog) -> dict[str, list[tuple[str, str]]]:
    """By source of GPUs the servers (provider, name) whose GPUs it measures: those on the hosts of its targets. A source whose targets
    name no server's host (an address of a cluster) has the servers that no other source names, or else all."""
    servers = {(provider, name): server for provider, name, server in catalog.servers() if server.gpus}
    hosts = {key: (server.metrics or "").rpartition(":")[0] for key, server in servers.items()}
    measured: dict[str, list[tuple[str, str]]] = {}
    for source, settings in gpu_sources(catalog).items():
        targets = {target.rpartition(":")[0] for target in settings.targets}
        measured[source] = [key for key, host in hosts.items() if host in targets]
    named = {key for keys in measured.values() for key in keys}
    rest = [key for key in servers if key not in named] or list(servers)
    return {source: keys or rest for source, keys in measured.items()}


def undeployed_candidates(loaded: LoadedCatalog) -> Iterator[tuple[Location, str]]:
    """The candidates of aliases that a gateway without regions has no deployment of, each at its place: attempts there belong to no
    provider, and no alarm sees them."""
    catalog = loaded.catalog
    if catalog.gateway.binding not in binding_names() or not known_binding(catalog.gateway.binding).deployments:
        return
    deployed = {(place.provider, place.model, place.region) for place in catalog.gateway.deployments.values()}
    consoles = {source.provider for source in catalog.sources.values()}
    for name, alias in catalog.aliases.items():
        for number, candidate in enumerate(alias.candidates):
            offer = (candidate.provider, candidate.model, candidate.region)
            if offer not in deployed and candidate.provider not in consoles:
                yield loaded.document.locate(("aliases", name, "candidates", number)), "/".join(offer)


def catalog_sources(loaded: LoadedCatalog) -> list[BoundSource]:
    """Every source that the catalog names, the gateway first, with the signals that are recorded from it. Raises InvalidInput with
    every binding that is unknown or of the wrong kind for its place, and every signal that is named wrongly, or for two sources.

    Local servers, GPUs and consoles stand side by side. A signal of the whole estate comes from the source that the catalog names for
    it, else from the first that has it: the gateway, then the others in the catalog's order."""
    sources: list[tuple[BoundSource, KeyPath]] = []
    problems: list[Problem] = []
    for name, binding, job, provider, path, named in _named(loaded):
        try:
            source = BoundSource(name, load_binding(binding, loaded.document.locate(path)), job, provider, named)
        except InvalidInput as error:
            problems += error.problems
            continue
        problems += _misplaced(loaded, source, path)
        sources.append((source, path[:-1]))
    claims = [_claimed(loaded, source, path, problems) for source, path in sources]
    bound = [source for source, _ in sources]
    problems += _claimed_twice(loaded, bound, claims)
    problems += _several_models(loaded)
    if problems:
        raise InvalidInput("invalid sources", list(dict.fromkeys(problems)))
    return _with_signals(bound, claims)


def _named(loaded: LoadedCatalog) -> Iterator[tuple[str, str, str, str | None, KeyPath, tuple[str, ...]]]:
    catalog = loaded.catalog
    yield "gateway", catalog.gateway.binding, GATEWAY_JOB, None, ("gateway", "binding"), catalog.gateway.signals or ()
    seen = set()
    for name, provider in catalog.providers.items():
        if provider.binding is not None and provider.binding not in seen:
            seen.add(provider.binding)
            yield provider.binding, provider.binding, SERVERS_JOB, None, ("providers", name, "binding"), ()
    for name, source in catalog.sources.items():
        yield (
            name,
            source.binding,
            source_job(name),
            source.provider,
            ("sources", name, "binding"),
            source.signals or (),
        )


def _claimed(loaded: LoadedCatalog, source: BoundSource, path: KeyPath, problems: list[Problem]) -> dict[str, KeyPath]:
    """The signals that the catalog names for a source, each with its place; `problems` gains the names that fit none."""
    claimed: dict[str, KeyPath] = {}
    for position, name in enumerate(source.named):
        place = (*path, "signals", position)
        fitting = [signal for signal in source.binding.signals if _fits(signal, name)]
        claimed = dict.fromkeys(fitting, place) | claimed
        if fitting:
            continue
        known = [series.name for series in RECORDED if series.primitive]
        if not (missing := [signal for signal in known if _fits(signal, name)]):
            problems.append(unknown_name("signal", name, known, loaded.document.locate(place)))
            continue
        why = source.binding.why_not(missing[0])
        found = f"{source.binding.source} does not provide {name!r}" + (f": {why}" if why else "")
        problems.append(loaded.problem(place, found, f"signals of `tiercli sources show {source.binding.source}`"))
    return claimed


def _fits(signal: str, name: str) -> bool:
    return signal == name or signal.startswith(f"{name.removesuffix(':')}:")


def _claimed_twice(
    loaded: LoadedCatalog, sources: list[BoundSource], claims: list[dict[str, KeyPath]]
) -> Iterator[Problem]:
    """Signals of the whole estate that the catalog names for two sources: at each place, for whom else."""
    of_all = [(source, claimed) for source, claimed in zip(sources, claims, strict=True) if source.of_all]
    for (one, claimed), (other, theirs) in permutations(of_all, 2):
        shared: dict[KeyPath, list[str]] = {}
        for signal, place in claimed.items():
            if signal in theirs:
                shared.setdefault(place, []).append(signal)
        for place, (first, *more) in shared.items():
            what = f"{first} and {len(more)} more are" if more else f"{first} is"
            found = f"{what} named for {one.name!r} and for {other.name!r}"
            yield loaded.problem(place, found, "one source for a signal")


def _with_signals(sources: list[BoundSource], claims: list[dict[str, KeyPath]]) -> list[BoundSource]:
    # Servers' own metrics are used; a gateway's of them only where they have none.
    taken = {signal for source in sources if source.binding.kind == "servers" for signal in source.binding.signals}
    named = {signal for source, claimed in zip(sources, claims, strict=True) if source.of_all for signal in claimed}
    chosen = []
    for source, claimed in zip(sources, claims, strict=True):
        signals = set(claimed if source.named else source.binding.signals)
        if source.of_all:
            signals -= taken if source.named else taken | named
            taken |= signals
        chosen.append(replace(source, signals=frozenset(signals)))
    return chosen


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
        if binding.console and source.provider is None:
            twice = f"{kind}; beside the gateway it would count every call twice"
            yield loaded.problem(path[:-1], twice, "`provider`, the provider that it measures instead of the gateway")
        if binding.kind == "gpus" and source.provider is not None:
            yield loaded.problem((*path[:-1], "provider"), f"{kind}, and measures no provider", "no `provider`")
    if binding.deployments and source.of_all and not catalog.gateway.deployments:
        missing = f"{binding.source} does not report regions, and gateway.deployments is missing"
        accepted = f"deployments, by {binding.deployments}: provider, model and region of each"
        yield loaded.problem(path[:-1], missing, accepted)

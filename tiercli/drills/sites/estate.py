"""A sandbox with the configuration that the catalog gives: what drills, `stack up` and the demo start from."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import Catalog, Provider, Source
from tiercli.dashboards import render_dashboards
from tiercli.drills.load.plan import usual_traffic
from tiercli.drills.spec.model import Load, SandboxSettings
from tiercli.output.tree import render_servers
from tiercli.rules.alarm import Alarm
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import Deployment, timing_of
from tiercli.sandbox.history import BUDGET_USED, history_openmetrics
from tiercli.sandbox.plan import GATEWAY_PATH, source_path
from tiercli.sandbox.real_parts.interface import RealPart
from tiercli.sandbox.sandbox import Sandbox
from tiercli.signals.boards import Board
from tiercli.signals.sources import exporters_of
from tiercli.signals.timing import Timing

AS_THE_CATALOG = SandboxSettings()
S = TypeVar("S", bound=Source)
EditTree = Callable[[dict[str, str]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Estate:
    """What a sandbox runs on: the catalog, compressed time, the alarms in that time, the boards, the series that no source of
    the catalog provides, and the real programs in place of simulated ones."""

    loaded: LoadedCatalog
    timing: Timing
    alarms: tuple[Alarm, ...]
    boards: Mapping[str, Board]
    settings: SandboxSettings = AS_THE_CATALOG
    unbound: Collection[str] = ()
    real: tuple[RealPart, ...] = ()

    def dashboards(self) -> dict[str, str]:
        """The dashboards of this estate, by their paths in the generated folder."""
        return render_dashboards(self.loaded.catalog, self.unbound, self.boards)

    def windows(self) -> tuple[str, ...]:
        """The rate windows that the rules use, in simulated time: the bounds of compression are stated for these."""
        return ("1m", "5m")


def build_estate(
    loaded: LoadedCatalog,
    factor: float,
    template_folders: Sequence[Path] = (),
    settings: SandboxSettings = AS_THE_CATALOG,
    real: tuple[RealPart, ...] = (),
) -> Estate:
    """The estate of a catalog under a compression factor. Raises InvalidInput as load_alarms does."""
    timing = timing_of(loaded.catalog, factor)
    simulated = dataclasses.replace(loaded, catalog=simulated_catalog(loaded.catalog, settings, real))
    alarm_set = load_alarm_set(simulated, timing, template_folders)
    unbound = frozenset(alarm_set.canonical.unbound)
    return Estate(simulated, timing, alarm_set.alarms, alarm_set.boards, settings, unbound, real)


def simulated_catalog(
    catalog: Catalog, settings: SandboxSettings = AS_THE_CATALOG, real: Sequence[RealPart] = ()
) -> Catalog:
    """`catalog` with the targets that a sandbox has in place of its own, and as `settings` say. Its sources stay: the simulation
    speaks them."""
    gateway_path = next((part.metrics_path for part in real if part.kind == "gateway"), GATEWAY_PATH)
    count = settings.gateway_instances or len(catalog.gateway.targets)
    instances = tuple(f"gateway-{number}:9100" for number in range(count))
    exporters = _exporters(catalog)
    return catalog.model_copy(
        update={
            "gateway": _at(catalog.gateway, gateway_path, instances if settings.gateway_instances else None),
            "providers": {
                name: _simulated_provider(provider, settings) for name, provider in catalog.providers.items()
            },
            "sources": {
                name: _at(source, source_path(name), targets)
                for name, source in catalog.sources.items()
                if (targets := exporters.get(name, instances))
            },
        }
    )


def _exporters(catalog: Catalog) -> dict[str, tuple[str, ...]]:
    """By source of GPUs an address for each server that it measures, on the server's own host: by that it is found again."""
    metrics = {(provider, name): server.metrics or "" for provider, name, server in catalog.servers()}
    return {
        source: tuple(f"{metrics[server].rpartition(':')[0]}:{9400 + number}" for number, server in enumerate(servers))
        for source, servers in exporters_of(catalog).items()
    }


def _at(source: S, path: str, targets: tuple[str, ...] | None) -> S:
    changes: dict[str, object] = {"path": path, "scheme": "http"}
    return source.model_copy(update=changes if targets is None else {**changes, "targets": targets})


def _simulated_provider(provider: Provider, settings: SandboxSettings) -> Provider:
    changes: dict[str, object] = {}
    typical: dict[str, object] = {}
    if provider.servers and settings.local_concurrency is not None:
        typical["concurrency"] = settings.local_concurrency
    if settings.error_ratio is not None:
        typical["error_ratio"] = settings.error_ratio
    if typical:
        changes["regions"] = {
            name: region.model_copy(update={"typical": region.typical.model_copy(update=typical)})
            for name, region in provider.regions.items()
        }
    return provider.model_copy(update=changes)


async def start_sandbox(
    estate: Estate, sandbox: Sandbox, edit_tree: EditTree | None = None, load: Load | None = None
) -> Mapping[str, str]:
    """Configure an entered sandbox for `estate` and start it; the configuration's files by path.

    `load` is what it will be put under: its past is that of an estate which has always had that load.
    `edit_tree` changes the configuration before it is used: how a test shows that a drill fails when it should.
    """
    catalog = estate.loaded.catalog
    production = Deployment.production(catalog)
    servers = {(server.provider, server.server): server for server in sandbox.servers}
    exporters = {
        name: tuple(servers[server].gpu_metrics_address for server in measured)
        for name, measured in exporters_of(catalog).items()
    }
    deployment = dataclasses.replace(
        production,
        timing=estate.timing,
        gateway_targets=sandbox.gateway_targets,
        server_targets=tuple(
            target._replace(address=servers[target.provider, target.server].metrics_address)
            for target in production.server_targets
        ),
        source_targets={name: exporters.get(name, sandbox.gateway_targets) for name in catalog.sources},
        alertmanager_targets=(f"127.0.0.1:{sandbox.addresses.alertmanager}",),
        prometheus_target=f"127.0.0.1:{sandbox.addresses.prometheus}",
        receiver_base=sandbox.addresses.receiver_url,
    )
    tree: Mapping[str, str] = render_servers(estate.loaded, deployment, estate.alarms)
    if edit_tree is not None:
        tree = edit_tree(dict(tree))
    traffic = usual_traffic(load, catalog) if load is not None else None
    used = estate.settings.budget_used or BUDGET_USED
    await sandbox.start(tree, history_openmetrics(catalog, estate.timing, time.time(), sandbox.plan, traffic, used))
    return tree

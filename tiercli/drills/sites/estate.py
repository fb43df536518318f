"""A sandbox with the configuration that the catalog gives: what drills, `stack up` and the demo start from."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import Catalog, OtherSource, Provider
from tiercli.drills.load.plan import usual_traffic
from tiercli.drills.spec.model import Load, SandboxSettings
from tiercli.output.tree import render_servers
from tiercli.rules.alarm import Alarm
from tiercli.rules.alarm_files import load_alarm_set, load_alarms
from tiercli.rules.deployment import Deployment, ServerTarget, timing_of
from tiercli.sandbox.history import history_openmetrics
from tiercli.sandbox.plan import GPU_PATH
from tiercli.sandbox.sandbox import Sandbox
from tiercli.signals.boards import Board
from tiercli.signals.sources import gpu_sources
from tiercli.signals.timing import Timing

SIMULATED_GPUS = "simulated-gpus"  # where the catalog names none
AS_THE_CATALOG = SandboxSettings()
EditTree = Callable[[dict[str, str]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Estate:
    """What a sandbox runs on: the catalog, compressed time, the alarms in that time, the boards. `replaced`: the
    sources of the catalog that the sandbox has others in place of."""

    loaded: LoadedCatalog
    timing: Timing
    alarms: tuple[Alarm, ...]
    boards: Mapping[str, Board]
    settings: SandboxSettings = AS_THE_CATALOG
    replaced: tuple[str, ...] = ()

    def windows(self) -> tuple[str, ...]:
        """The rate windows that the rules use, in simulated time: the bounds of compression are stated for these."""
        return ("1m", "5m")


def build_estate(
    loaded: LoadedCatalog,
    factor: float,
    template_folders: Sequence[Path] = (),
    settings: SandboxSettings = AS_THE_CATALOG,
) -> Estate:
    """The estate of a catalog under a compression factor. Raises InvalidInput as load_alarms does."""
    timing = timing_of(loaded.catalog, factor)
    generated = {alarm.alarm for alarm in load_alarms(loaded, timing, template_folders)}
    simulated = dataclasses.replace(loaded, catalog=simulated_catalog(loaded.catalog, settings))
    # Only alarms that the catalog's own sources can feed: a sandbox has every signal, and proves no alarm that production
    # does not have.
    alarm_set = load_alarm_set(simulated, timing, template_folders)
    alarms = tuple(alarm for alarm in alarm_set.alarms if alarm.alarm in generated)
    replaced = tuple(sorted(_bindings(loaded.catalog) - _bindings(simulated.catalog)))
    return Estate(simulated, timing, alarms, alarm_set.boards, settings, replaced)


def simulated_catalog(catalog: Catalog, settings: SandboxSettings = AS_THE_CATALOG) -> Catalog:
    """`catalog` with the sources that a sandbox has in place of its own: a gateway that speaks the canonical contract,
    servers that expose what vLLM does, a GPU exporter beside each; and as `settings` say."""
    exporters = tuple(f"localhost:{9400 + number}" for number, _ in enumerate(catalog.servers()))
    gateway: dict[str, object] = {"binding": "native", "deployments": {}, "path": "/metrics", "scheme": "http"}
    if settings.gateway_instances is not None:
        gateway["targets"] = tuple(f"gateway-{number}:9100" for number in range(settings.gateway_instances))
    return catalog.model_copy(
        update={
            "gateway": catalog.gateway.model_copy(update=gateway),
            "providers": {
                name: _simulated_provider(provider, settings) for name, provider in catalog.providers.items()
            },
            "sources": {gpu_source(catalog): OtherSource(binding="tiercli-gpu", targets=exporters, path=GPU_PATH)}
            if exporters
            else {},
        }
    )


def _bindings(catalog: Catalog) -> set[str]:
    providers = {provider.binding for provider in catalog.providers.values() if provider.binding is not None}
    return {catalog.gateway.binding, *providers, *(source.binding for source in catalog.sources.values())}


def gpu_source(catalog: Catalog) -> str:
    """The name of the source of GPUs in a sandbox: the catalog's own, where it has one."""
    return next(iter(gpu_sources(catalog)), SIMULATED_GPUS)


def _simulated_provider(provider: Provider, settings: SandboxSettings) -> Provider:
    changes: dict[str, object] = {"binding": "vllm" if provider.servers else None}
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
    deployment = dataclasses.replace(
        Deployment.production(catalog),
        timing=estate.timing,
        gateway_targets=sandbox.gateway_targets,
        server_targets=tuple(
            ServerTarget(server.metrics_address, server.server or server.key, server.provider, server.region)
            for server in sandbox.servers
        ),
        source_targets={
            name: tuple(server.gpu_metrics_address for server in sandbox.servers) for name in catalog.sources
        },
        alertmanager_targets=(f"127.0.0.1:{sandbox.addresses.alertmanager}",),
        prometheus_target=f"127.0.0.1:{sandbox.addresses.prometheus}",
        receiver_base=sandbox.addresses.receiver_url,
    )
    tree: Mapping[str, str] = render_servers(estate.loaded, deployment, estate.alarms)
    if edit_tree is not None:
        tree = edit_tree(dict(tree))
    traffic = usual_traffic(load, catalog) if load is not None else None
    await sandbox.start(tree, history_openmetrics(catalog, estate.timing, time.time(), sandbox.plan, traffic))
    return tree

"""A sandbox with the configuration that the catalog gives: what drills, `stack up` and the demo start from."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiercli.catalog.loading import LoadedCatalog
from tiercli.output.tree import render_servers
from tiercli.rules.alarm import Alarm
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.deployment import Deployment, timing_of
from tiercli.sandbox.history import history_openmetrics
from tiercli.sandbox.sandbox import Sandbox
from tiercli.signals.timing import Timing

EditTree = Callable[[dict[str, str]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Estate:
    """What a sandbox runs on: the catalog, compressed time, the alarms in that time, the configuration's files."""

    loaded: LoadedCatalog
    timing: Timing
    alarms: tuple[Alarm, ...]

    def windows(self) -> tuple[str, ...]:
        """The rate windows that the rules use, in estate time: the bounds of compression are stated for these."""
        return ("1m", "5m")


def build_estate(loaded: LoadedCatalog, factor: float, template_folders: Sequence[Path] = ()) -> Estate:
    """The estate of a catalog under a compression factor. Raises InvalidInput as load_alarms does."""
    timing = timing_of(loaded.catalog, factor)
    return Estate(loaded, timing, load_alarms(loaded, timing, template_folders))


async def start_sandbox(estate: Estate, sandbox: Sandbox, edit_tree: EditTree | None = None) -> Mapping[str, str]:
    """Configure an entered sandbox for `estate` and start it; the configuration's files by path.

    `edit_tree` changes the configuration before it is used: how a test shows that a drill fails when it should.
    """
    catalog = estate.loaded.catalog
    deployment = dataclasses.replace(
        Deployment.production(catalog),
        timing=estate.timing,
        gateway_targets=sandbox.gateway_targets,
        server_targets=sandbox.server_targets,
        alertmanager_targets=(f"127.0.0.1:{sandbox.addresses.alertmanager}",),
        receiver_base=sandbox.addresses.receiver_url,
    )
    tree: Mapping[str, str] = render_servers(estate.loaded, deployment, estate.alarms)
    if edit_tree is not None:
        tree = edit_tree(dict(tree))
    await sandbox.start(tree, history_openmetrics(catalog, estate.timing, time.time()))
    return tree

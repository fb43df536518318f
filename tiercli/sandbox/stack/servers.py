"""The real servers of a sandbox: their addresses, their flags (Prometheus 2.42 and 3.x both have them), and their past."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tiercli.durations import format_duration
from tiercli.errors import BackendError
from tiercli.serving import LOOPBACK
from tiercli.signals.timing import Timing

# Prometheus' own defaults, simulated seconds.
_LOOKBACK_S = 300.0
_RESEND_S = 60.0
_FOR_GRACE_S = 600.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """The ports of the real servers and of the webhook receiver."""

    prometheus: int
    alertmanager: int
    receiver: int

    @property
    def prometheus_url(self) -> str:
        """Prometheus' base URL."""
        return f"http://{LOOPBACK}:{self.prometheus}"

    @property
    def alertmanager_url(self) -> str:
        """Alertmanager's base URL."""
        return f"http://{LOOPBACK}:{self.alertmanager}"

    @property
    def receiver_url(self) -> str:
        """The base URL under which each receiver has its path."""
        return f"http://{LOOPBACK}:{self.receiver}"


def prometheus_command(program: Path, config: Path, data: Path, port: int, timing: Timing) -> tuple[str, ...]:
    """The argument list of a Prometheus on loopback in compressed time."""
    return (
        str(program),
        f"--config.file={config}",
        f"--web.listen-address={LOOPBACK}:{port}",
        f"--web.external-url=http://{LOOPBACK}:{port}",  # else the links in alerts name this machine
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=15d",
        # A series that ends disappears after the look-back, which must be longer than the delay of a late scrape.
        f"--query.lookback-delta={format_duration(max(timing.compress(_LOOKBACK_S), 4 * timing.scrape_s))}",
        f"--rules.alert.resend-delay={format_duration(timing.compress(_RESEND_S))}",
        f"--rules.alert.for-grace-period={format_duration(timing.compress(_FOR_GRACE_S))}",
        "--web.enable-lifecycle",
        "--log.level=warn",
    )


def without_rules(configuration: str) -> str:
    """A Prometheus configuration without its rule files. What is not a configuration stays as it is: Prometheus reports it."""
    settings = _settings(configuration)
    return yaml.safe_dump({**settings, "rule_files": []}) if settings else configuration


def count_targets(configuration: str) -> int:
    """How many targets a Prometheus configuration of ours scrapes."""
    jobs = _settings(configuration).get("scrape_configs") or ()
    return sum(len(group["targets"]) for job in jobs for group in job["static_configs"])


def _settings(configuration: str) -> Mapping[str, Any]:
    try:
        settings = yaml.safe_load(configuration)
    except yaml.YAMLError:
        return {}
    return settings if isinstance(settings, dict) else {}


def alertmanager_command(program: Path, config: Path, data: Path, port: int) -> tuple[str, ...]:
    """The argument list of an Alertmanager on loopback, without a cluster."""
    return (
        str(program),
        f"--config.file={config}",
        f"--web.listen-address={LOOPBACK}:{port}",
        f"--web.external-url=http://{LOOPBACK}:{port}",
        f"--storage.path={data}",
        "--cluster.listen-address=",
        "--log.level=warn",
    )


async def backfill(promtool: Path, history: Path, data: Path) -> None:
    """Make blocks of the OpenMetrics file `history` in the folder `data` of a Prometheus that does not run yet. Raises BackendError
    with promtool's last lines."""
    done = await asyncio.create_subprocess_exec(
        # It uses every core, and sandboxes beside this one measure time. One block for all of it: promtool reads the text again for each.
        *("nice", promtool, "tsdb", "create-blocks-from", "--max-block-duration=744h", "openmetrics", history, data),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await done.communicate()
    except asyncio.CancelledError:
        done.kill()
        await done.wait()
        raise
    if done.returncode:
        raise BackendError(f"promtool could not backfill the history: {output.decode(errors='replace').strip()[-400:]}")

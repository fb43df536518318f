"""The backfilled history: what promtool makes of it, and what a real Prometheus answers from it."""

from __future__ import annotations

import asyncio
import itertools
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from waiting import eventually

from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import Catalog
from tiercli.clients.prometheus import PrometheusClient
from tiercli.sandbox.history import BASELINE_OFFSET, BASELINE_WINDOW, history_openmetrics
from tiercli.sandbox.ports import PortAllocator
from tiercli.sandbox.stack.binaries import StackBinaries
from tiercli.sandbox.stack.servers import prometheus_command
from tiercli.sidecar.supervisor import ProcessSpec, Supervisor
from tiercli.signals.promql import selector
from tiercli.signals.recorded import RECORDED_BY_NAME
from tiercli.signals.timing import Timing

P95 = "tier:provider:latency_seconds:p95_5m:normal"
ERRORS = "tier:provider:error_ratio:rate5m:normal"
HOSTILE = "q\"uo'te \\back\\n {{ $1 }} } # ☃"
SANDBOX = Timing(30, 10, 10)
SAMPLE = re.compile(r"^(?P<name>[a-z0-9_:]+)(?:\{.*\})? (?P<value>\S+) (?P<at>[0-9.]+)$")


def hostile_catalog(changed_hybrid: Callable[..., LoadedCatalog]) -> Catalog:
    """hybrid.yaml with a provider, model and region whose names attack the exposition format."""

    def change(data: dict[str, Any]) -> None:
        typical = {"p50_seconds": 1.5, "p95_seconds": 2.5, "error_ratio": 0.25}
        provider = {"tier": "cloud", "owner": "platform", "regions": {HOSTILE: {"typical": typical}}}
        data["providers"][HOSTILE] = provider | {"models": {HOSTILE: {}}}
        data["price_book"]["models"][HOSTILE] = {HOSTILE: {"input": 1, "output": 1}}
        candidate = {"provider": HOSTILE, "model": HOSTILE, "region": HOSTILE}
        data["aliases"]["chat"]["candidates"].append(candidate)
        data["zones"] = {"anywhere": {}}
        for tenant in data["tenants"].values():
            tenant["zone"] = "anywhere"

    return changed_hybrid(change).catalog


def samples(text: str) -> dict[str, list[tuple[float, float]]]:
    """(time, value) by everything that comes before the value in a line."""
    series: dict[str, list[tuple[float, float]]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = SAMPLE.match(line)
            assert match is not None, line
            identity = line.rsplit(" ", 2)[0]
            series.setdefault(identity, []).append((float(match["at"]), float(match["value"])))
    return series


def offers(series: dict[str, list[tuple[float, float]]]) -> dict[str, list[tuple[float, float]]]:
    """Those of latency and error ratio."""
    return {identity: points for identity, points in series.items() if identity.startswith((P95, ERRORS))}


@pytest.mark.parametrize(
    "timing", [SANDBOX, Timing(1, 15, 15), Timing(600, 10, 10)], ids=lambda one: f"×{one.factor:g}"
)
def test_every_offer_has_the_whole_window_of_a_baseline_without_a_gap(hybrid: LoadedCatalog, timing: Timing) -> None:
    until = 1_800_000_000.0
    series = offers(samples(history_openmetrics(hybrid.catalog, timing, until)))
    assert len(series) == 2 * len(list(hybrid.catalog.offers()))
    span_s = timing.window_s(BASELINE_WINDOW) + timing.window_s(BASELINE_OFFSET)
    for points in series.values():
        times = [at for at, _ in points]
        step_s = times[1] - times[0]
        assert times[0] <= until - span_s + 0.001
        assert until - step_s <= times[-1] <= until
        assert max(later - earlier for earlier, later in itertools.pairwise(times)) < 2 * step_s
        assert step_s >= timing.evaluation_s - 0.001


def test_values_are_what_is_typical_with_a_little_noise_and_the_same_every_time(hybrid: LoadedCatalog) -> None:
    text = history_openmetrics(hybrid.catalog, SANDBOX, 1_800_000_000.0)
    assert text == history_openmetrics(hybrid.catalog, SANDBOX, 1_800_000_000.0)
    assert text.endswith("\n# EOF\n")
    for identity, points in offers(samples(text)).items():
        values = [value for _, value in points]
        mean = sum(values) / len(values)
        typical = hybrid.catalog.providers["anthropic"].regions["us-east-1"].typical
        if 'region="us-east-1"' in identity:
            expected = typical.p95_seconds if identity.startswith(P95) else typical.error_ratio
            assert mean == pytest.approx(expected, rel=0.02)
        assert max(values) < 1.3 * mean
        assert min(values) > 0.7 * mean
        assert len(set(values)) > 10


def test_the_series_are_those_that_the_baselines_average() -> None:
    for name in (P95, ERRORS):
        assert set(RECORDED_BY_NAME[name].labels) == {"provider", "model", "region"}


def test_prometheus_answers_from_it_at_once_and_goes_on_from_there(
    stack: StackBinaries, changed_hybrid: Callable[..., LoadedCatalog], tmp_path: Path
) -> None:
    catalog = hostile_catalog(changed_hybrid)
    history = tmp_path / "history.om"
    history.write_text(history_openmetrics(catalog, SANDBOX, time.time()), encoding="utf-8")
    command = [stack.promtool.path, "tsdb", "create-blocks-from", "openmetrics", history, tmp_path / "data"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    labels = {"provider": HOSTILE, "model": HOSTILE, "region": HOSTILE}
    rule = {"record": P95, "expr": "vector(100)", "labels": labels}  # far from normal: new samples tell themselves
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump({"global": {"evaluation_interval": "250ms"}, "rule_files": ["rules.yml"]}))
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]}))
    window, offset = SANDBOX.window(BASELINE_WINDOW), SANDBOX.duration(BASELINE_OFFSET)

    async def answers() -> tuple[dict[str, float], list[float]]:
        with PortAllocator() as allocate:
            port = allocate()
            arguments = prometheus_command(stack.prometheus.path, config, tmp_path / "data", port, SANDBOX)
            async with (
                Supervisor() as supervisor,
                PrometheusClient(f"http://127.0.0.1:{port}") as client,
                asyncio.timeout(30),
            ):
                await supervisor.start(ProcessSpec("prometheus", arguments, tmp_path / "log"))
                await eventually(client.ready)
                baselines = await client.query(f"avg_over_time({P95}[{window}] offset {offset})")
                baselines += await client.query(f"avg_over_time({ERRORS}[{window}] offset {offset})")
                appended: list[float] = []
                while len(appended) < 3:
                    await asyncio.sleep(0.1)
                    found = await client.raw_samples(selector(P95, labels), 60, time.time())
                    appended = [value for one in found for _, value in one.points if value == 100]
                return {f"{one.labels['provider']} {index}": one.value for index, one in enumerate(baselines)}, appended

    baselines, appended = asyncio.run(answers())
    assert appended == pytest.approx([100] * len(appended))
    hostile = [value for name, value in baselines.items() if name.startswith(HOSTILE)]
    assert hostile == pytest.approx([2.5, 0.25], rel=0.02)
    assert len(baselines) == 2 * len(list(catalog.offers()))


def test_text_that_is_no_history_is_refused_by_promtool(stack: StackBinaries, tmp_path: Path) -> None:
    """What the tests above rely on: promtool does not pass over what it cannot read."""
    broken = tmp_path / "broken.om"
    broken.write_text(f'{P95}{{provider="a"b"}} 1 1\n# EOF\n')
    command = [stack.promtool.path, "tsdb", "create-blocks-from", "openmetrics", broken, tmp_path / "data"]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0

"""The generated rules on VictoriaMetrics: `make test-vm` gets it with vmalert and vmalert-tool, and names the folder of its programs.
It scrapes what the sandbox's Prometheus scrapes, and vmalert evaluates the sandbox's rules beside it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from tests.conftest import ROOT
from tests.drills.short_drill import Recorder
from tests.sandbox.waiting import eventually
from tiercli.catalog.loading import load_catalog
from tiercli.cli.main import app
from tiercli.drills.record.result import Outcome
from tiercli.drills.run.one import run_drill
from tiercli.drills.run.request import RunRequest
from tiercli.drills.sites.estate import build_estate
from tiercli.drills.sites.sandbox import DrillSandbox
from tiercli.drills.spec.cast import cast_drills
from tiercli.drills.spec.files import drill_files
from tiercli.drills.spec.model import DrillSpec
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.sandbox.ports import PortAllocator
from tiercli.sandbox.sandbox import PROMETHEUS_FILE
from tiercli.sandbox.stack.binaries import find_stack

pytestmark = [pytest.mark.slow, pytest.mark.stack]

PROGRAMS = Path(os.environ.get("TIERCLI_VICTORIAMETRICS", ROOT / ".victoriametrics")) / "bin"
CATALOGS = sorted((ROOT / "catalogs").glob("*.yaml"))
# VictoriaMetrics shows a sample a second or two after it came: time is compressed less than in the drills' own sandboxes.
FACTOR = 6
LOOK_BACK_S = 300  # vmalert's own default: how old the newest sample of a series may be
DRILLS = {"provider-outage": "ProviderDown", "cloud-errors": "CloudErrorRateHigh", "gateway-outage": "GatewayDown"}


@pytest.mark.parametrize("catalog", CATALOGS, ids=lambda path: path.stem)
def test_vmalert_tool_passes_every_generated_test(catalog: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["generate", str(catalog), "--out", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    files = sorted(tmp_path.rglob("*_test.yml"))
    assert len(files) > 15
    failed = []
    for file in files:
        command = [PROGRAMS / "vmalert-tool", "unittest", "--disableAlertgroupLabel", f"--files={file.name}"]
        said = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False)
        if said.returncode or "SUCCESS" not in said.stdout + said.stderr:
            failed.append(f"{file.name}: {(said.stdout + said.stderr)[-2000:]}")
    assert failed == []


@asynccontextmanager
async def beside(sandbox: DrillSandbox, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """VictoriaMetrics and vmalert over what the sandbox's Prometheus has: its scrapes and its rules. A client of the former."""
    config = sandbox.sandbox.folder / "config" / PROMETHEUS_FILE
    prometheus = yaml.safe_load(config.read_text())
    scrapes = {key: prometheus[key] for key in ("global", "scrape_configs")}
    scrapes["global"].pop("evaluation_interval", None)
    (folder / "scrape.yml").write_text(yaml.safe_dump(scrapes))
    rules = [str(path) for pattern in prometheus["rule_files"] for path in sorted(config.parent.glob(pattern))]
    allocate = PortAllocator()
    database, alerting = (f"127.0.0.1:{allocate()}" for _ in range(2))
    commands = {
        "victoria-metrics": [
            f"-httpListenAddr={database}",
            f"-storageDataPath={folder / 'data'}",
            f"-promscrape.config={folder / 'scrape.yml'}",
            "-search.latencyOffset=0s",
            "-search.disableCache",
        ],
        "vmalert": [
            f"-httpListenAddr={alerting}",
            *(f"-rule={path}" for path in rules),
            f"-datasource.url=http://{database}",
            f"-datasource.queryStep={LOOK_BACK_S / FACTOR:g}s",
            f"-remoteWrite.url=http://{database}",
            "-remoteWrite.flushInterval=200ms",
            "-rule.evalDelay=0s",
            "-disableAlertgroupLabel",
            "-notifier.blackhole",
        ],
    }
    running = []
    try:
        for name, arguments in commands.items():
            log = (folder / f"{name}.log").open("wb")
            running.append(subprocess.Popen([PROGRAMS / name, *arguments], stdout=log, stderr=log))  # noqa: ASYNC220
            log.close()
        async with httpx.AsyncClient(base_url=f"http://{database}", trust_env=False) as client:
            yield client
    finally:
        for process in running:
            process.kill()
            process.wait()
        allocate.close()


def lasting(spec: DrillSpec) -> DrillSpec:
    """A drill whose fault is on for the whole of its phase: vmalert sees it some seconds after Prometheus."""
    expect = tuple(expected.model_copy(update={"holds": True}) for expected in spec.expect)
    return spec.model_copy(update={"factor": FACTOR, "expect": expect})


async def fired(client: httpx.AsyncClient) -> set[str]:
    """The alarms that vmalert has ever seen firing."""
    query = {"query": 'group by (alertname) (last_over_time(ALERTS{alertstate="firing", severity!="heartbeat"}[1h]))'}
    try:
        answer = (await client.get("/api/v1/query", params=query)).json()
    except (httpx.HTTPError, ValueError):
        return set()
    return {sample["metric"]["alertname"] for sample in answer.get("data", {}).get("result", [])}


def test_vmalert_fires_what_prometheus_fires(tmp_path: Path) -> None:
    loaded = load_catalog(ROOT / "catalogs" / "hybrid.yaml")
    alarms = load_alarm_set(loaded, timing_of(loaded.catalog))
    files: Any = drill_files()
    casts = cast_drills([files[name] for name in DRILLS], loaded, alarms)
    estate = build_estate(loaded, FACTOR, (), casts[0].spec.sandbox)
    specs = [lasting(cast.spec) for cast in casts]

    async def run() -> None:
        async with DrillSandbox(estate, find_stack()) as sandbox:
            await sandbox.start(specs[0].load)
            async with beside(sandbox, tmp_path) as client:
                for spec, alarm in zip(specs, DRILLS.values(), strict=True):
                    request = RunRequest(spec, estate, find_stack(), tmp_path / "runs")
                    with nullcontext(Recorder()) as view:
                        done = await run_drill(request, view, sandbox)
                    assert done.result.outcome is Outcome.PASSED, done.result.reasons

                    async def it_fired(alarm: str = alarm) -> bool:
                        return alarm in await fired(client)

                    await eventually(it_fired)
                expected = {expected.alert for spec in specs for expected in spec.expect}
                allowed = {allowed.alert for spec in specs for allowed in spec.allow}
                assert await fired(client) - expected - allowed == set()

    asyncio.run(run())

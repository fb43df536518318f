"""Everything generated, on Prometheus 3 and a recent Alertmanager: make test-prom3 gets them and names them. Whatever is run
here is asked which version it is: the old ones cannot pass for the new."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from tests.conftest import ROOT, Tool
from tests.sandbox.waiting import eventually
from tiercli.catalog.loading import load_catalog
from tiercli.cli.main import app
from tiercli.clients.prometheus import PrometheusClient
from tiercli.drills.sites.estate import build_estate, start_sandbox
from tiercli.sandbox.sandbox import Sandbox
from tiercli.sandbox.stack.binaries import StackBinaries

pytestmark = [pytest.mark.slow, pytest.mark.stack]

CATALOGS = sorted((ROOT / "catalogs").glob("*.yaml"))


def number(version: str) -> tuple[int, int]:
    major, minor = re.findall(r"\d+", version)[:2]
    return int(major), int(minor)


def test_the_programs_are_the_new_ones(stack: StackBinaries) -> None:
    assert number(stack.prometheus.version) >= (3, 0)
    assert number(stack.promtool.version) >= (3, 0)
    assert number(stack.alertmanager.version) >= (0, 28)
    assert number(stack.amtool.version) >= (0, 28)


def test_the_servers_of_a_sandbox_say_that_they_are_the_new_ones(stack: StackBinaries) -> None:
    estate = build_estate(load_catalog(ROOT / "catalogs" / "hybrid.yaml"), 30)

    async def versions() -> tuple[str, str]:
        async with Sandbox(estate.loaded.catalog, stack, estate.timing) as sandbox:
            await start_sandbox(estate, sandbox)
            async with PrometheusClient(sandbox.addresses.prometheus_url) as client, httpx.AsyncClient() as http:

                async def evaluated() -> bool:
                    return bool(await client.query("tier:gateway:available:bool == 1"))

                await eventually(evaluated)
                built = await http.get(f"{sandbox.addresses.prometheus_url}/api/v1/status/buildinfo")
                status = await http.get(f"{sandbox.addresses.alertmanager_url}/api/v2/status")
                return str(built.json()["data"]["version"]), str(status.json()["versionInfo"]["version"])

    prometheus, alertmanager = asyncio.run(versions())
    assert number(prometheus) >= (3, 0)
    assert number(alertmanager) >= (0, 28)


@pytest.mark.parametrize("catalog", CATALOGS, ids=lambda path: path.stem)
def test_everything_that_a_catalog_gives_is_accepted_and_its_rules_pass(
    catalog: Path, promtool: Tool, amtool: Tool, tmp_path: Path
) -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    run("generate", str(catalog), "--out", str(tmp_path / "out"))
    rules = sorted((tmp_path / "out" / "prometheus" / "rules").glob("*.yml"))
    assert rules
    code, said = promtool("check", "rules", "--lint=all", "--lint-fatal", *rules)
    assert code == 0, said
    code, said = promtool("check", "config", "--syntax-only", tmp_path / "out" / "prometheus" / "prometheus.yml")
    assert code == 0, said
    code, said = amtool("check-config", tmp_path / "out" / "alertmanager" / "alertmanager.yml")
    assert code == 0, said
    assert ", 0 alarms failed" in run("rules", "test", str(catalog))
    run("lint", str(catalog))

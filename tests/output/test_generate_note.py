"""What `tiercli generate` says of the alarms that no source of the catalog can feed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.conftest import HYBRID
from tiercli.cli.main import app

MIXED = HYBRID.with_name("litellm-vllm.yaml")


def generate(catalog: Path, out: Path, *more: str) -> Result:
    done = CliRunner().invoke(app, ["generate", str(catalog), "--out", str(out), *more], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.parametrize("more", [(), ("--check",)])
def test_an_alarm_that_is_left_out_is_named_beside_the_answer(tmp_path: Path, more: tuple[str, ...]) -> None:
    generate(MIXED, tmp_path)
    done = generate(MIXED, tmp_path, *more)
    assert "1 alarm is left out" in done.stderr
    assert "QuotaBucketSaturated" in done.stderr
    assert "ProviderDown" not in done.stderr
    assert f"tiercli sources --catalog {MIXED}" in done.stderr
    assert "left out" not in done.stdout


def test_machines_are_told_each_signal_and_the_reason(tmp_path: Path) -> None:
    done = generate(MIXED, tmp_path, "--format", "json")
    left_out = json.loads(done.stdout)["alarms_left_out"]
    (why,) = left_out["QuotaBucketSaturated"].values()
    assert why.startswith("litellm: limits are by team or key, not by provider; audit: a log of calls does not say")
    assert done.stderr == ""


def test_nothing_is_said_where_nothing_is_left_out(tmp_path: Path) -> None:
    assert generate(HYBRID, tmp_path).stderr == ""
    done = generate(HYBRID, tmp_path, "--format", "json")
    assert json.loads(done.stdout)["alarms_left_out"] == {}

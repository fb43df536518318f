"""A whole live drill against LiteLLM's own proxy, by its own metrics: `make test-litellm`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.litellm.litellm_stand import KEYS, key_variables, litellm_stand
from tiercli.drills.record.events import LoadWindow, RunStarted
from tiercli.drills.record.timeline_file import load_timeline
from tiercli.sandbox.stack.binaries import StackBinaries

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.drill]


def test_an_outage_behind_litellm_is_told_to_whom_it_must_be(stack: StackBinaries, tmp_path: Path) -> None:
    with litellm_stand(stack, tmp_path) as stand:
        command = [sys.executable, "-m", "tiercli", "drill", "run", "litellm-outage", "--drills", str(stand.drills)]
        command += ["--catalog", str(stand.catalog), "--env", "staging", "--runs", str(tmp_path / "runs")]
        env = os.environ | key_variables()
        done = subprocess.run(
            [*command, "--format", "json"], env=env, capture_output=True, text=True, timeout=300, check=False
        )
        metrics = httpx.get(f"{stand.gateway}/metrics/", trust_env=False).text
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["outcome"] == "passed"
    steps = [step["said"] for one in result["expectations"] for step in one["steps"]]
    assert any(said.startswith("pager notified after") for said in steps), steps
    # It was LiteLLM that answered, that counted by our tenant, and that fell back: no caller was left without an answer for long.
    assert 'team_alias="catalogue"' in metrics
    assert "litellm_deployment_successful_fallbacks_total{" in metrics
    [run] = (tmp_path / "runs").glob("*-litellm-outage")
    timeline = load_timeline(run / "timeline.jsonl")
    started = timeline.first(RunStarted)
    assert started is not None
    assert started.mode == "live"
    failed, all_calls = (sum(getattr(one, key) for one in timeline.of(LoadWindow)) for key in ("failed", "started"))
    assert failed < all_calls / 20
    written = "".join(path.read_text(encoding="utf-8") for path in run.rglob("*") if path.is_file())
    assert not [key for key in KEYS.values() if key in written + done.stderr]

"""LiteLLM's own proxy before a real llama.cpp server and simulated providers of the cloud: three drills, by the metrics of both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
PARTS = ("TIERCLI_LITELLM", "TIERCLI_LLAMA_SERVER", "TIERCLI_LLAMA_MODEL")
pytestmark = [pytest.mark.slow, pytest.mark.drill]


def drill(name: str, runs: Path) -> tuple[dict[str, Any], Path]:
    missing = [variable for variable in PARTS if variable not in os.environ]
    assert not missing, f"make test-real-chain sets {', '.join(missing)}"
    command = [
        sys.executable,
        "-m",
        "tiercli",
        "drill",
        "run",
        name,
        "--drills",
        str(HERE / "drills"),
        "--format",
        "json",
    ]
    command += [
        "--catalog",
        str(HERE / "catalog.yaml"),
        "--runs",
        str(runs),
        "--real",
        "litellm",
        "--real",
        "llama.cpp",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    [folder] = runs.glob(f"*-{name}")
    return json.loads(done.stdout), folder


@pytest.mark.parametrize("name", ["chain-quiet", "chain-outage", "chain-queue"])
def test_an_alarm_of_real_programs_fires_and_reaches_whom_it_must(name: str, tmp_path: Path) -> None:
    result, folder = drill(name, tmp_path)
    assert result["outcome"] == "passed"
    steps = [step["said"] for expected in result["expectations"] for step in expected["steps"]]
    assert name == "chain-quiet" or any("notified after" in said for said in steps), steps
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "litellm 1." in report
    assert "llama.cpp 0." in report
    assert "simulated: the cloud&#39;s providers" in report
    written = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file())
    # The rules read what LiteLLM and llama.cpp count, and no key is left anywhere.
    assert "litellm_deployment_success_responses_total" in written
    assert "llamacpp:requests_deferred" in written
    assert "sk-" not in written

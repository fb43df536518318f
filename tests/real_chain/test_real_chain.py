"""LiteLLM's own proxy before a real llama.cpp server and simulated providers of the cloud: three drills, by the metrics of both.
`make test-real-chain`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real_chain.watching import watching

HERE = Path(__file__).resolve().parent
PARTS = ("TIERCLI_LITELLM", "TIERCLI_LLAMA_SERVER", "TIERCLI_LLAMA_MODEL")
pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.drill]


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("chain-quiet", []),
        (
            "chain-outage",
            ["litellm_deployment_failure_responses_total", "litellm_deployment_successful_fallbacks_total"],
        ),
        ("chain-queue", ["llamacpp:requests_deferred"]),
    ],
)
def test_an_alarm_of_real_programs_fires_and_reaches_whom_it_must(
    name: str, counted: list[str], tmp_path: Path
) -> None:
    missing = [variable for variable in PARTS if variable not in os.environ]
    assert not missing, f"make test-real-chain sets {', '.join(missing)}"
    temporary, runs = tmp_path / "tmp", tmp_path / "runs"
    temporary.mkdir()
    command = [sys.executable, "-m", "tiercli", "drill", "run", name, "--drills", str(HERE / "drills")]
    command += ["--catalog", str(HERE / "catalog.yaml"), "--runs", str(runs), "--format", "json"]
    command += ["--real", "litellm", "--real", "llama.cpp"]
    with watching(temporary) as watched:
        env = os.environ | {"TMPDIR": str(temporary)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    result = json.loads(done.stdout)
    assert result["outcome"] == "passed"
    steps = [step["said"] for expected in result["expectations"] for step in expected["steps"]]
    assert name == "chain-quiet" or any("notified after" in said for said in steps), steps

    # It was LiteLLM that routed and priced, and llama.cpp that answered: they counted it themselves.
    counted += ["litellm_deployment_success_responses_total", "litellm_spend_metric_total"]
    counted += ["llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total"]
    nothing = [metric for metric in counted if not watched.most.get(metric)]
    assert not nothing, sorted(watched.most)

    [folder] = runs.glob(f"*-{name}")
    report = (folder / "report.html").read_text(encoding="utf-8")
    real = [line for line in report.splitlines() if "litellm 1." in line and "llama.cpp " in line]
    assert real, "the report does not say what was real"
    assert "simulated: the cloud&#39;s providers: this proves" in report

    # No key in what is kept, told or seen of the processes; nothing of the sandbox is left.
    kept = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file())
    assert any("litellm" in line for line in watched.command_lines)
    assert "sk-" not in kept + done.stdout + done.stderr + "".join(watched.command_lines)
    assert list(temporary.glob("tiercli-sandbox-*")) == []

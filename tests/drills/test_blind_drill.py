"""Whole blind drills: a real sandbox, a real fault, somebody who answers."""

from __future__ import annotations

import itertools
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tiercli.catalog.loading import LoadedCatalog
from tiercli.drills.blind.ground import survey
from tiercli.drills.blind.scenario import Scenario, draw

pytestmark = [pytest.mark.drill, pytest.mark.stack]


def seed_of(hybrid: LoadedCatalog, fault: str, provider: str) -> tuple[str, Scenario]:
    """A seed whose first fault is this one."""
    ground = survey(hybrid.catalog)
    for seed in itertools.count():
        scenario = draw(ground, f"{seed}/1")
        if scenario.fault == fault and scenario.target.get("provider", provider) == provider:
            return str(seed), scenario
    raise AssertionError("unreachable")


def the_only_record(runs: Path) -> dict[str, Any]:
    (folder,) = runs.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "report.html").is_file()
    found: dict[str, Any] = json.loads((folder / "blind.json").read_text(encoding="utf-8"))
    return found


def test_the_panels_alone_name_a_throttling_provider(
    hybrid: LoadedCatalog, run_tiercli: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    seed, scenario = seed_of(hybrid, "throttle", "anthropic")
    command = ("drill", "blind", "--auto", "--count", "1", "--seed", seed, "--runs", str(tmp_path), "--output", "json")
    done = run_tiercli(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said == the_only_record(tmp_path)
    (one,) = said["rounds"]
    assert one["verdict"] == "right"
    assert one["answer"] == {"kind": "throttled", "culprit": "provider anthropic/ap-south-1"}
    assert one["truth"]["settings"] == dict(scenario.settings)
    assert any("Throttled (429)" in row for row in one["panels"][0]["shown"])


def test_a_person_is_not_told_before_the_answer_and_is_told_after(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    seed, _ = seed_of(hybrid, "refusal-drift", "openai")
    runs, out = tmp_path / "runs", tmp_path / "boards"
    command = [
        sys.executable,
        "-m",
        "tiercli",
        "drill",
        "blind",
        "--seed",
        seed,
        "--runs",
        str(runs),
        "--out",
        str(out),
    ]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        told = ""
        for line in process.stderr:
            told += line
            if "the clock runs" in line:
                break
        told += running_below(process.pid)
        assert "refus" not in told
        assert not runs.exists()
        assert (out / "grafana" / "dashboards" / "home.json").is_file()
        process.stdin.write("refusals openai/ap-south-1\n")
        process.stdin.flush()
        answered = process.stdout.read()
        assert process.wait() == 0, told + process.stderr.read()
    assert answered.startswith("right")
    assert "refusal-drift on provider openai, region ap-south-1" in answered
    assert the_only_record(runs)["answered_by"] == "person"


def test_a_wrong_answer_is_wrong_and_the_truth_is_told(
    hybrid: LoadedCatalog, run_tiercli: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    seed, _ = seed_of(hybrid, "audit-silence", "")
    place = ("--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "boards"))
    done = run_tiercli("drill", "blind", "--seed", seed, "--answer", "slow anthropic/ap-south-1", *place)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("wrong")
    assert "truth:  audit audit log: audit-silence" in done.stdout
    assert the_only_record(tmp_path / "runs")["rounds"][0]["verdict"] == "wrong"


def test_an_answer_that_is_none_is_refused_before_anything_starts(
    run_tiercli: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = run_tiercli("drill", "blind", "--answer", "eror anthropic", "--runs", str(tmp_path))
    assert done.returncode == 2
    assert "did you mean 'errors'" in done.stderr
    both = run_tiercli("drill", "blind", "--auto", "--answer", "audit", "--runs", str(tmp_path))
    assert both.returncode == 2
    assert list(tmp_path.iterdir()) == []


def running_below(pid: int) -> str:
    """The command lines of a process' descendants, as anybody can list them."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    ours, found = {str(pid)}, []
    for own, parent, args in [row for row in rows if len(row) == 3] * 4:
        if parent in ours and own not in ours:
            ours.add(own)
            found.append(args)
    assert any("prometheus" in args for args in found)
    return "\n".join(found)

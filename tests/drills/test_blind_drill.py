"""Whole blind drills: a real sandbox, a real fault, somebody who answers."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Done
from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.drills.blind.ground import survey
from tiercli.drills.blind.scenario import Scenario, draw

pytestmark = [pytest.mark.drill, pytest.mark.stack]


def seed_of(loaded: LoadedCatalog, fault: str, provider: str) -> tuple[str, Scenario]:
    """A seed whose first fault is this one."""
    ground = survey(loaded.catalog)
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


@pytest.mark.slow
def test_the_panels_alone_name_a_throttling_provider_of_another_estate(
    start_tiercli: Callable[..., Done], tmp_path: Path
) -> None:
    # Its gateway is LiteLLM, at a path of its own; the sandbox has one that speaks the canonical contract in its place.
    catalog = ROOT / "catalogs" / "litellm-vllm.yaml"
    seed, scenario = seed_of(load_catalog(catalog), "throttle", "openai")
    command = ("--auto", "--count", "1", "--seed", seed, "--catalog", str(catalog))
    done = start_tiercli("drill", "blind", *command, "--runs", str(tmp_path), "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said == the_only_record(tmp_path)
    (one,) = said["rounds"]
    assert one["verdict"] == "right"
    assert one["answer"] == {"kind": "throttled", "culprit": "provider openai/eu"}
    assert one["truth"]["settings"] == dict(scenario.settings)
    assert any("Throttled (429)" in row for row in one["panels"][0]["shown"])


@contextlib.contextmanager
def asked(
    hybrid: LoadedCatalog, fault: str, provider: str, folder: Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A drill that waits for somebody's answer, and what it has told so far."""
    seed, _ = seed_of(hybrid, fault, provider)
    place = ("--seed", seed, "--runs", str(folder / "runs"), "--out", str(folder / "boards"))
    with subprocess.Popen(
        [sys.executable, "-m", "tiercli", "drill", "blind", *place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    ) as process:
        assert process.stderr is not None
        told = ""
        for line in process.stderr:
            told += line
            if "the clock runs" in line:
                break
        try:
            yield process, told
        finally:
            process.terminate()


def test_a_person_is_not_told_before_the_answer_and_is_told_after(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    with asked(hybrid, "refusal-drift", "openai", tmp_path) as (process, told):
        told += "\n".join(running_below(process.pid).values())
        assert "refus" not in told
        assert not (tmp_path / "runs").exists()
        assert (tmp_path / "boards" / "grafana" / "dashboards" / "home.json").is_file()
        answered, more = process.communicate("refusals openai/ap-south-1\n")
    assert process.returncode == 0, told + more
    assert answered.startswith("right")
    assert "refusal-drift on provider openai, region ap-south-1" in answered
    assert the_only_record(tmp_path / "runs")["answered_by"] == "person"


@pytest.mark.slow
def test_ctrl_c_ends_everything_and_tells_nothing(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    with asked(hybrid, "outage", "openai", tmp_path) as (process, _):
        below = running_below(process.pid)
        process.send_signal(signal.SIGINT)
        answered, _ = process.communicate()
    assert (process.returncode, answered) == (130, "")
    assert not (tmp_path / "runs").exists()
    assert still_running(below) == []


@pytest.mark.slow
def test_a_prometheus_that_dies_proves_nothing(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    with asked(hybrid, "outage", "openai", tmp_path) as (process, _):
        below = running_below(process.pid)
        os.kill(next(pid for pid, args in below.items() if args.split()[0].endswith("prometheus")), signal.SIGKILL)
        process.wait(60)  # input stays open: nobody answers
        answered, more = process.communicate()
    assert (process.returncode, answered) == (3, "")
    assert "prometheus failed" in more
    assert not (tmp_path / "runs").exists()
    assert still_running(below) == []


@pytest.mark.slow
def test_a_wrong_answer_is_wrong_and_the_truth_is_told(
    hybrid: LoadedCatalog, start_tiercli: Callable[..., Done], tmp_path: Path
) -> None:
    seed, _ = seed_of(hybrid, "audit-silence", "")
    place = ("--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "boards"))
    done = start_tiercli("drill", "blind", "--seed", seed, "--answer", "slow anthropic/ap-south-1", *place)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("wrong")
    assert "truth:  audit audit log: audit-silence" in done.stdout
    assert the_only_record(tmp_path / "runs")["rounds"][0]["verdict"] == "wrong"


def test_an_answer_that_is_none_is_refused_before_anything_starts(
    start_tiercli: Callable[..., Done], tmp_path: Path
) -> None:
    done = start_tiercli("drill", "blind", "--answer", "eror anthropic", "--runs", str(tmp_path))
    assert done.returncode == 2
    assert "did you mean 'errors'" in done.stderr
    both = start_tiercli("drill", "blind", "--auto", "--answer", "audit", "--runs", str(tmp_path))
    assert both.returncode == 2
    assert list(tmp_path.iterdir()) == []


def running_below(pid: int) -> dict[int, str]:
    """The command lines of a process' descendants, as anybody can list them."""
    rows = processes()
    found: dict[int, str] = {}
    for own, (parent, args) in list(rows.items()) * 4:
        if parent == pid or parent in found:
            found[own] = args
    assert any("prometheus" in args for args in found.values())
    return found


def still_running(before: dict[int, str]) -> list[str]:
    now = processes()
    return [args for pid, args in before.items() if now.get(pid, (0, ""))[1] == args]


def processes() -> dict[int, tuple[int, str]]:
    """(parent, command line) of every process."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    return {int(row[0]): (int(row[1]), row[2]) for row in rows if len(row) == 3}

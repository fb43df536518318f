"""Servers without GPUs: what tiercli generates for them, and what they cost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.conftest import HYBRID, Done

Run = Callable[..., Done]


def write(folder: Path, *gpus: int) -> Path:
    """catalogs/hybrid.yaml, whose servers have `gpus`."""
    head, *servers = HYBRID.read_text(encoding="utf-8").split("gpus: 4,")
    assert len(servers) == len(gpus)
    path = folder / "catalog.yaml"
    parts = (f"gpus: {count},{rest}" for count, rest in zip(gpus, servers, strict=True))
    path.write_text(head + "".join(parts), encoding="utf-8")
    return path


def test_servers_without_gpus_have_no_panes_and_no_alarms_of_them(run_tiercli: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run_tiercli("generate", str(write(tmp_path, 0, 0)), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "left out, because no source provides what they read: GpuUtilizationHigh" in " ".join(done.stderr.split())
    assert not any("tier:gpu:" in path.read_text(encoding="utf-8") for path in out.rglob("*") if path.is_file())
    panels = json.loads((out / "grafana/dashboards/local.json").read_text(encoding="utf-8"))["panels"]
    titles = {panel["title"] for panel in panels}
    assert "Queue depth" in titles
    assert not {title for title in titles if "GPU" in title or "Saturation" in title}
    listed = run_tiercli("alarms", "list", str(tmp_path / "catalog.yaml"))
    assert "no server of the catalog has GPUs" in " ".join((listed.stdout + listed.stderr).split())


def test_one_server_with_gpus_is_enough_for_them(run_tiercli: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run_tiercli("generate", str(write(tmp_path, 0, 1)), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert (out / "runbooks/GpuUtilizationHigh.md").is_file()


def test_the_budget_counts_no_series_of_gpus_that_are_not_there(run_tiercli: Run, tmp_path: Path) -> None:
    done = run_tiercli("budget", str(write(tmp_path, 0, 0)), "--output", "json")
    assert done.returncode == 0, done.stderr
    series = {line["metric"]: line["series"] for line in json.loads(done.stdout)["metrics"]}
    assert series["tiercli_gpu_utilization_ratio"] == 0
    assert not [name for name in series if name.startswith("tier:gpu:")]


def test_a_negative_number_of_gpus_is_reported_at_its_place(run_tiercli: Run, tmp_path: Path) -> None:
    path = write(tmp_path, -1, 4)
    done = run_tiercli("catalog", "validate", str(path))
    assert done.returncode == 2
    number = next(number for number, line in enumerate(path.read_text().splitlines(), 1) if "gpus: -1" in line)
    assert f"{path}:{number}:" in done.stderr
    assert "gpus is -1 (accepted: a number of at least 0)" in done.stderr

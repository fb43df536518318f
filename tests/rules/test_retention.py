"""How long Prometheus has to keep samples, at the head of the generated configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import HYBRID, Done
from tiercli.rules.prometheus_config import retention_note

Run = Callable[..., Done]
DAY_S = 86_400.0
BOARD = """\
title: Quarters
description: Calls of a quarter, for the yearly review.
panels:
  - id: 1
    title: Calls
    type: stat
    size: [24, 6]
    description: Calls of the gateway in the last ninety days, all of them.
    queries:
      - {expr: 'sum_over_time(tier:gateway:calls:increase5m[90d])', legend: calls}
    thresholds: [[null, blue]]
"""


def test_the_configuration_says_how_long_samples_are_needed_and_by_what(
    run_tiercli: Run, promtool: Any, tmp_path: Path
) -> None:
    done = run_tiercli("generate", str(HYBRID), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    path = tmp_path / "out/prometheus/prometheus.yml"
    head = path.read_text(encoding="utf-8").partition("global:")[0].splitlines()
    assert head[0].startswith("# Start Prometheus with --storage.tsdb.retention.time=45d:")
    assert "#   31 days: tier:tenant:month_seen:seconds, tier:tenant:month_spend:usd" in head
    assert '#   30 days: panel "Gateway availability, 30 days" of overview' in head
    assert any(line.startswith("#   7 days 1 hour:") and "tier:drift:value:baseline" in line for line in head)
    assert "`--storage.tsdb.retention.time=45d`" in (tmp_path / "out/fragments/README.md").read_text(encoding="utf-8")
    code, output = promtool("check", "config", path)
    assert code == 0, output


def test_a_panel_of_ones_own_that_looks_further_back_counts(run_tiercli: Run, tmp_path: Path) -> None:
    (tmp_path / "ours/dashboards").mkdir(parents=True)
    (tmp_path / "ours/dashboards/quarters.yml.j2").write_text(BOARD, encoding="utf-8")
    out = tmp_path / "out"
    done = run_tiercli("generate", str(HYBRID), "--out", str(out), "--templates", str(tmp_path / "ours"))
    assert done.returncode == 0, done.stderr
    head = (out / "prometheus/prometheus.yml").read_text(encoding="utf-8").splitlines()
    assert head[0].startswith("# Start Prometheus with --storage.tsdb.retention.time=90d:")
    assert '#   90 days: panel "Calls" of quarters' in head


def test_where_the_default_is_enough_no_flag_is_asked_for() -> None:
    note = retention_note({"a baseline": 7 * DAY_S, "a rate": 300.0})
    assert note.splitlines() == [
        "# Prometheus' default retention of 15 days is enough.",
        "# What looks back a day or more:",
        "#   7 days: a baseline",
    ]

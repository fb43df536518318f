"""`tiercli diff`: what a deploy changes, told as alerts, records, panels and routes; of a folder and of a Prometheus."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiercli.catalog.loading import LoadedCatalog
from tiercli.output.differences import Change, compare, deployed_tree
from tiercli.output.tree import PROMETHEUS_FILE, RULES_PATH, render_tree
from tiercli.rules.deployment import Deployment
from tiercli.sandbox.stack.binaries import StackBinaries

HYBRID = Path(__file__).resolve().parents[2] / "catalogs" / "hybrid.yaml"


def tree_of(loaded: LoadedCatalog) -> dict[str, str]:
    return render_tree(loaded, Deployment.production(loaded.catalog))


def changes_of(before: LoadedCatalog, after: LoadedCatalog) -> list[Change]:
    return compare(deployed_tree(tree_of(before)), deployed_tree(tree_of(after)))


def test_the_same_catalog_changes_nothing(hybrid: LoadedCatalog) -> None:
    assert changes_of(hybrid, hybrid) == []


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        pytest.param(
            lambda data: data["alarms"].update(CloudErrorRateHigh={"thresholds": {"max_ratio": 0.08}, "for": "9m"}),
            {
                ("changed", "alert", "CloudErrorRateHigh", "threshold", "0.05", "0.08"),
                ("changed", "alert", "CloudErrorRateHigh", "for", "300 s", "540 s"),
            },
            id="a threshold and a time to hold",
        ),
        pytest.param(
            lambda data: data["alertmanager"].update(group_wait="20s"),
            {("changed", "route", "all", "group_wait", "10s", "20s")},
            id="a wait",
        ),
        pytest.param(
            lambda data: data["tenants"].pop("initech-news"),
            {("removed", "record", 'tier:tenant:budget_usd{tenant="initech-news", zone="anywhere"}', "", "", "")},
            id="a tenant that is gone",
        ),
        pytest.param(
            lambda data: data["gateway"].update(targets=["a:1", "b:1"]),
            {
                ("changed", "record", "tier:gateway:expected_instances:count", "threshold", "1", "2"),
            },
            id="another gateway instance",
        ),
    ],
)
def test_a_change_of_the_catalog_is_told_as_what_it_changes(
    hybrid: LoadedCatalog, changed_hybrid: Any, edit: Any, expected: set[tuple[str, ...]]
) -> None:
    changes = changes_of(hybrid, changed_hybrid(edit))
    assert {(c.kind, c.what, c.name, c.part, c.before, c.after) for c in changes} == expected


def test_an_alarm_and_a_panel_that_are_gone_are_told_by_name(hybrid: LoadedCatalog) -> None:
    after = tree_of(hybrid)
    before = dict(after)
    rules = yaml.safe_load(before[RULES_PATH])
    for group in rules["groups"]:
        group["rules"] = [rule for rule in group["rules"] if rule.get("alert") != "Watchdog"]
    board = json.loads(before["grafana/dashboards/home.json"])
    board["panels"] = [panel for panel in board["panels"] if panel["id"] != 2]
    before |= {RULES_PATH: yaml.safe_dump(rules), "grafana/dashboards/home.json": json.dumps(board)}
    old, new = deployed_tree(before), deployed_tree(after)
    there, back = compare(old, new), compare(new, old)
    assert {(one.kind, one.what, one.name) for one in there} == {
        ("added", "alert", "Watchdog"),
        ("added", "panel", "home / 2"),
    }
    assert {(one.kind, one.what, one.name) for one in back} == {
        ("removed", "alert", "Watchdog"),
        ("removed", "panel", "home / 2"),
    }


def test_a_folder_is_compared_by_the_command(tmp_path: Path, run_tiercli: Any) -> None:
    assert run_tiercli("generate", str(HYBRID), "--out", str(tmp_path / "out")).returncode == 0
    same = run_tiercli("diff", str(HYBRID), "--against", str(tmp_path / "out"))
    assert same.returncode == 0, same.stdout + same.stderr
    changed = tmp_path / "changed.yaml"
    changed.write_text(
        HYBRID.read_text(encoding="utf-8").replace("max_ratio: 0.05", "max_ratio: 0.08"), encoding="utf-8"
    )
    differs = run_tiercli("diff", str(changed), "--against", str(tmp_path / "out"))
    assert differs.returncode == 1
    assert differs.stdout == "~ alert CloudErrorRateHigh: threshold from 0.05 to 0.08\n"
    assert run_tiercli("diff", str(HYBRID), "--against", str(tmp_path)).returncode == 2
    assert run_tiercli("diff", str(HYBRID), "--against", "http://127.0.0.1:9").returncode == 3


@pytest.mark.stack
def test_a_prometheus_is_compared_by_its_own_groups(
    hybrid: LoadedCatalog, stack: StackBinaries, tmp_path: Path, run_tiercli: Any
) -> None:
    tree = tree_of(hybrid)
    rules = yaml.safe_load(tree[RULES_PATH])
    rules["groups"].append({"name": "of-others", "rules": [{"record": "a:b", "expr": "vector(1)"}]})
    for group in rules["groups"]:
        for rule in group["rules"]:
            if rule.get("alert") == "GatewayDown":
                rule["for"] = "3m"
    config = tmp_path / PROMETHEUS_FILE
    (config.parent / "rules").mkdir(parents=True)
    config.write_text(tree[PROMETHEUS_FILE])
    (tmp_path / RULES_PATH).write_text(yaml.safe_dump(rules))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [stack.prometheus.path, f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data"]
    process = subprocess.Popen(
        [*command, f"--web.listen-address={address}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://{address}/-/ready", timeout=2):
                    break
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.1)
        done = run_tiercli("diff", str(HYBRID), "--against", f"http://{address}")
    finally:
        process.terminate()
        process.wait(20)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines() == [
        "~ alert GatewayDown: for from 180 s to 60 s",
        "1 rule groups of others are not compared",
    ]

"""`rules test`: every alarm's cases pass on real tools, and a rule that is not what its cases prove is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.errors import InvalidInput
from tiercli.lint.catalog_checks import further_checks
from tiercli.lint.linting import lint_tree, run_checks
from tiercli.lint.rule_tests import AlarmResult, run_rule_tests
from tiercli.output.tree import ALERTMANAGER_FILE, TESTS_FOLDER, render_tree
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.deployment import Deployment
from tiercli.sandbox.stack.binaries import find_stack

ROOT = Path(__file__).resolve().parents[2]


def results_of(loaded: LoadedCatalog, tree: dict[str, str], *names: str) -> dict[str, AlarmResult]:
    deployment = Deployment.production(loaded.catalog)
    alarms = [alarm for alarm in load_alarms(loaded, deployment.timing) if not names or alarm.alarm in names]
    stack = find_stack()
    told: list[str] = []
    results = run_rule_tests(
        tree,
        loaded.catalog,
        alarms,
        deployment.timing,
        promtool=stack.promtool.path,
        amtool=stack.amtool.path,
        on_done=lambda result: told.append(result.alarm),
    )
    assert sorted(told) == [result.alarm for result in results]
    return {result.alarm: result for result in results}


def test_every_alarm_of_the_hybrid_catalog_passes(hybrid: LoadedCatalog) -> None:
    results = results_of(hybrid, render_tree(hybrid, Deployment.production(hybrid.catalog)))
    assert {name: result.failures for name, result in results.items() if not result.passed} == {}
    assert len(results) == 21
    assert results["PostconditionViolations"].receivers == ("platform-channel", "content-ai-channel")
    assert all(result.cases >= 5 for name, result in results.items() if name != "Watchdog")


@pytest.mark.parametrize(
    ("file", "old", "new", "alarm"),
    [
        pytest.param(
            f"{TESTS_FOLDER}/alerts.yml",
            "tier:tenant:quota_fill:ratio > 0.9",
            "tier:tenant:quota_fill:ratio > 0.95",
            "QuotaBucketSaturated",
            id="a threshold that is another one",
        ),
        pytest.param(
            f"{TESTS_FOLDER}/ZoneViolation_counters_rules.yml",
            "(last_over_time(ai_gateway_zone_violations_total",
            "(increase(ai_gateway_zone_violations_total",
            "ZoneViolation",
            id="a counter whose first event is not seen",
        ),
        pytest.param(
            f"{TESTS_FOLDER}/GatewayDown_counters_rules.yml",
            "or vector(0)",
            "",
            "GatewayDown",
            id="a count that is nothing, and not zero, without instances",
        ),
        pytest.param(
            ALERTMANAGER_FILE,
            'severity="page"',
            'severity="pages"',
            "ProviderDown",
            id="a route that pages nobody",
        ),
    ],
)
def test_names_the_alarm_that_is_broken_by(hybrid: LoadedCatalog, file: str, old: str, new: str, alarm: str) -> None:
    tree = render_tree(hybrid, Deployment.production(hybrid.catalog))
    changed = tree[file].replace(old, new)
    assert changed != tree[file], tree[file]
    results = results_of(hybrid, {**tree, file: changed}, alarm)
    assert results[alarm].failures


def test_an_alarm_without_a_case_that_applies_is_an_error(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    text = (ROOT / "templates" / "alerts" / "QuotaBucketSaturated.yml.j2").read_text(encoding="utf-8")
    (tmp_path / "QuotaBucketSaturated.yml.j2").write_text(
        text.replace("proves: duration", "proves: threshold") + "\nreplaces: true\n"
    )
    with pytest.raises(InvalidInput) as raised:
        load_alarms(hybrid, Deployment.production(hybrid.catalog).timing, [tmp_path])
    (problem,) = raised.value.problems
    assert "no case proves 'duration'" in problem.found
    assert "needless" in problem.accepted
    assert problem.location.file.endswith("QuotaBucketSaturated.yml.j2")


def test_an_operators_own_alarm_file_joins_rules_routes_runbooks_tests_and_lists(
    hybrid: LoadedCatalog, tmp_path: Path, run_tiercli: Any
) -> None:
    """The example of docs/adding-an-alarm.md."""
    text = (ROOT / "docs" / "adding-an-alarm.md").read_text(encoding="utf-8")
    example = text.split("````yaml\n")[1].split("````")[0]
    (tmp_path / "QuotaHeadroomLow.yml.j2").write_text(example, encoding="utf-8")
    tree = render_tree(hybrid, Deployment.production(hybrid.catalog), [tmp_path])
    assert "alert: QuotaHeadroomLow" in tree["prometheus/rules/tiercli.yml"]
    assert "runbooks/QuotaHeadroomLow.md" in tree
    assert f"{TESTS_FOLDER}/QuotaHeadroomLow_test.yml" in tree
    catalog = str(ROOT / "catalogs" / "hybrid.yaml")
    listed = run_tiercli("alarms", "list", catalog, "--templates", str(tmp_path))
    assert "QuotaHeadroomLow" in listed.stdout
    tested = run_tiercli("rules", "test", catalog, "QuotaHeadroomLow", "--templates", str(tmp_path))
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "QuotaHeadroomLow" in tested.stdout
    assert "platform-channel" in tested.stdout


@pytest.mark.parametrize("name", ["minimal", "litellm-vllm"])
def test_every_alarm_of_the_other_catalogs_passes_and_what_they_give_is_clean(name: str) -> None:
    loaded = load_catalog(ROOT / "catalogs" / f"{name}.yaml", further_checks())
    tree = render_tree(loaded, Deployment.production(loaded.catalog))
    results = results_of(loaded, tree)
    assert {name: result.failures for name, result in results.items() if not result.passed} == {}
    linted, sources = lint_tree(loaded, tree)
    assert {finding.code for finding in run_checks(linted, sources)} <= {"alert/left-out"}


def test_the_least_catalog_is_under_forty_lines() -> None:
    assert len((ROOT / "catalogs" / "minimal.yaml").read_text(encoding="utf-8").splitlines()) < 40

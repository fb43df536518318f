"""Linting of what is generated from a catalog, or of files that tiercli did not generate."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from tiercli.catalog.document import read_text
from tiercli.catalog.loading import LoadedCatalog
from tiercli.errors import Location
from tiercli.lint.checks import CHECKS
from tiercli.lint.comments import COMMENT_CODES, find_silences
from tiercli.lint.interface import Check, Finding
from tiercli.lint.linted import Linted, LintedFile, LintedPanel, read_board
from tiercli.output.tree import ALERTMANAGER_FILE, PROMETHEUS_FILE, RULES_PATH
from tiercli.rules.alarm_checks import own_series
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.signals.contract import CONTRACT, MetricType
from tiercli.signals.expressions import SCRAPE_METRICS, known_series
from tiercli.signals.recorded import RECORDED
from tiercli.signals.rule import Rule, read_rules
from tiercli.signals.sources import catalog_sources, undeployed_candidates

CODES = (*(check.code for check in CHECKS), *COMMENT_CODES)


def lint_tree(
    loaded: LoadedCatalog, tree: Mapping[str, str], template_folders: Sequence[Path] = ()
) -> tuple[Linted, list[LintedFile]]:
    """The generated tree of a catalog for the checks, and the files that it was generated from."""
    alarm_set = load_alarm_set(loaded, timing_of(loaded.catalog), template_folders)
    alarms, paths = alarm_set.alarms, alarm_set.paths
    sources = catalog_sources(loaded)
    known = {**known_series(), **own_series(alarms)}
    types = {**_contract_types(), **dict.fromkeys((series.name for series in RECORDED), MetricType.GAUGE)}
    for source in sources:
        known |= source.binding.exposed_series()
        types |= source.binding.series_types()
    boards = {path: text for path, text in tree.items() if path.startswith("grafana/dashboards/")}
    panels: list[LintedPanel] = []
    uids: dict[str, str] = {}
    for path, text in boards.items():
        uid, board_panels = read_board(text, path)
        uids[uid] = PurePosixPath(path).stem
        panels += board_panels
    linted = Linted(
        rules=tuple(read_rules(tree[RULES_PATH], RULES_PATH)),
        panels=tuple(panels),
        boards=uids,
        rule_files=(LintedFile(RULES_PATH, tree[RULES_PATH]),),
        alertmanager=LintedFile(ALERTMANAGER_FILE, tree[ALERTMANAGER_FILE]),
        configuration=LintedFile(PROMETHEUS_FILE, tree[PROMETHEUS_FILE]),
        known=known,
        types=types,
        scrape_s=timing_of(loaded.catalog).scrape_s,
        left_out={
            name: (Location(str(paths[name]), 1), tuple(missing)) for name, missing in alarm_set.left_out.items()
        },
        undeployed=tuple(undeployed_candidates(loaded)),
        ours=True,
    )
    made_from = [LintedFile(str(path), read_text(path)) for path in paths.values()]
    return linted, made_from


def lint_files(rule_paths: Iterable[Path], board_paths: Iterable[Path]) -> Linted:
    """Files that tiercli did not generate. Which series exist is not known, so no series is reported as unknown; the types of the
    contract's metrics are known. Raises InvalidInput when a file is not a rule file or a dashboard."""
    rules: list[Rule] = []
    files: list[LintedFile] = []
    for path in rule_paths:
        text = read_text(path)
        rules += read_rules(text, str(path))
        files.append(LintedFile(str(path), text))
    panels: list[LintedPanel] = []
    uids: dict[str, str] = {}
    for path in board_paths:
        uid, board_panels = read_board(read_text(path), str(path))
        uids[uid] = path.stem
        panels += board_panels
    recorded = dict.fromkeys((rule.name for rule in rules if rule.kind == "record"), MetricType.GAUGE)
    return Linted(
        rules=tuple(rules),
        panels=tuple(panels),
        boards=uids,
        rule_files=tuple(files),
        types={**_contract_types(), **recorded},
    )


def run_checks(
    linted: Linted,
    sources: Iterable[LintedFile] = (),
    *,
    disabled: Collection[str] = (),
    today: datetime.date | None = None,
    checks: Sequence[Check] = CHECKS,
) -> list[Finding]:
    """Every finding that no comment silences, in the order of files and lines. Raises ToolMissing when a check needs a tool that
    is not installed."""
    day = today or datetime.datetime.now(tz=datetime.UTC).date()
    silences, findings = find_silences(linted, sources, frozenset(CODES), day)
    for check in checks:
        if check.code not in disabled:
            findings += check.findings(linted)
    kept = {
        finding
        for finding in findings
        if finding.code not in disabled and not any(s.holds_for(finding, day) for s in silences)
    }
    return sorted(
        kept,
        key=lambda finding: (
            finding.location.file,
            finding.location.line,
            finding.location.column,
            finding.code,
            finding.found,
        ),
    )


def _contract_types() -> dict[str, MetricType]:
    types = dict.fromkeys(SCRAPE_METRICS, MetricType.GAUGE)
    for metric in CONTRACT:
        kind = MetricType.COUNTER if metric.type is MetricType.HISTOGRAM else metric.type
        types |= dict.fromkeys(metric.exposed_names, kind)
    return types

"""`tiercli drill report`, `coverage` and `compare`: what runs have shown."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from tiercli.catalog.loading import load_catalog
from tiercli.cli.drill_outcome import default_catalog
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import CatalogOption, Drills, Runs, Templates, TextJsonOrGithub, TextOrGithub, TextOrJson
from tiercli.cli.terminal import output_console, plain_table, print_json
from tiercli.drills.record.history import Record, last_of_each, read_records
from tiercli.drills.record.run_folder import REPORT, TIMELINE, write_files
from tiercli.drills.report.comparison import Change, compare_records
from tiercli.drills.report.coverage import Covered, Wanted, alarm_coverage
from tiercli.drills.report.markdown import changes_markdown, results_markdown
from tiercli.drills.report.summary import SUMMARY, estate_time, render_summary
from tiercli.drills.run.files import draw_again
from tiercli.drills.spec.cast import cast_drills
from tiercli.drills.spec.files import drill_files
from tiercli.durations import parse_duration
from tiercli.errors import CheckFailed, ExitCode, InvalidInput, Location, Problem
from tiercli.lint.catalog_checks import further_checks
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.rules.fingerprints import rule_fingerprints

_STYLE = {"passed": "green", "failed": "red", "inconclusive": "yellow"}


@examples(
    "tiercli drill report runs/20260101-120000-provider-outage",
)
def report(
    folder: Annotated[Path, typer.Argument(help="A run's folder, or a folder of runs.", show_default=False)],
    form: TextOrGithub = "text",
) -> None:
    """Judge finished runs again from their timelines, and draw their reports again.

    Runs that cannot be read are listed after the others are done: exit 2.
    """

    folders = (
        [folder]
        if (folder / TIMELINE).is_file()
        else sorted(run_folder.parent for run_folder in folder.glob(f"*/{TIMELINE}"))
    )
    if not folders:
        place = Location(str(folder))
        raise InvalidInput(
            f"{folder} is not a run's folder", [Problem(place, f"no {TIMELINE} in it", "a folder below runs/")]
        )
    records: list[Record] = []
    problems: list[Problem] = []
    for run_folder in folders:
        try:
            records.append(Record(run_folder, draw_again(run_folder)))
        except InvalidInput as error:
            if len(folders) == 1:
                raise
            problems += error.problems
            continue
        if form == "text":
            output_console().print(f"{records[-1].result.outcome.value}: {run_folder / REPORT}", markup=False)
    if form == "github":
        typer.echo(results_markdown([record.result for record in records]) if records else "", nl=False)
    elif records and len(folders) > 1:
        write_files(folder, {SUMMARY: render_summary(records)})
        output_console().print(f"summary: {folder / SUMMARY}", markup=False)
    if problems:
        raise InvalidInput(f"{len(folders) - len(records)} of {len(folders)} runs cannot be read", problems)
    codes = [record.result.outcome.exit_code for record in records]
    worst = (ExitCode.CHECK_FAILED, ExitCode.ENVIRONMENT_FAILED)
    raise typer.Exit(next((code for code in worst if code in codes), ExitCode.OK))


@examples(
    "tiercli drill coverage",
    "tiercli drill coverage --runs quarter-4 --check          (in CI: exit 1 unless every alarm is proven)",
    "tiercli drill coverage --runs runs --catalog my.yaml --max-age 100d --check      (drilled this quarter?)",
    "tiercli drill coverage --format json | jq '.alarms[] | select(.proven | not)'",
)
def coverage(
    runs: Runs = Path("runs"),
    catalog: CatalogOption = None,
    drills: Drills = None,
    templates: Templates = None,
    max_age: Annotated[
        str | None, typer.Option("--max-age", help="Oldest run that counts, for example 100d.", metavar="DURATION")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 unless every alarm is proven.")] = False,
    form: TextOrJson = "text",
) -> None:
    """Show which alarms are proven: by unit tests, by which drills, with what last result, and in what time.

    An alarm is proven if unit tests cover it and its last drill saw it fire, arrive and resolve, with the rule
    that it has now. Runs of another estate or environment do not count.
    """

    oldest = _oldest(max_age)
    loaded = load_catalog(catalog or default_catalog(), further_checks(templates or ()))
    records = read_records(runs) if runs.is_dir() and any(runs.iterdir()) else []
    deployed = load_alarm_set(loaded, timing_of(loaded.catalog), templates or ())
    casts = cast_drills(drill_files(drills or ()).values(), loaded, deployed)
    wanted = Wanted(loaded.catalog.estate, loaded.catalog.env, rule_fingerprints(loaded, deployed), oldest)
    covered = alarm_coverage(deployed.alarms, casts, records, wanted)
    proven = sum(alarm.proven for alarm in covered)
    if form == "json":
        content = {"proven": proven, "alarms": [_covered_json(alarm) for alarm in covered]}
        print_json(content)
    else:
        _print_coverage(covered)
    if check and proven < len(covered):
        missing = ", ".join(alarm.alarm for alarm in covered if not alarm.proven)
        none = [alarm.alarm for alarm in covered if all(proof.not_applicable is not None for proof in alarm.proofs)]
        own = f"; no drill applies to {', '.join(none)}: it needs one of your own (docs/drills.md)" if none else ""
        raise CheckFailed(
            f"{len(covered) - proven} of {len(covered)} alarms are not proven: {missing}{own}",
            hint=f"tiercli drill run --all --runs {runs}",
        )


@examples(
    "tiercli drill compare quarter-3 quarter-4 --format github",
)
def compare(
    before: Annotated[Path, typer.Argument(help="A run's folder, or a folder of runs.", show_default=False)],
    after: Annotated[Path, typer.Argument(help="Another one, to compare with.", show_default=False)],
    form: TextJsonOrGithub = "text",
) -> None:
    """Compare two records, for example two quarters: the last run of each drill on either side.

    Times to detect are in simulated time. Exit 1 if an alarm that was proven before is not proven now.
    """

    changes = list(compare_records(last_of_each(read_records(before)), last_of_each(read_records(after))))
    if form == "json":
        rows = [
            {**dataclasses.asdict(change), "slower_s": change.slower_s, "worse": change.worse} for change in changes
        ]
        print_json(rows)
    elif form == "github":
        sys.stdout.write(changes_markdown(changes))
    else:
        _print_changes(changes)
    worse = [f"{change.alert or 'silence'} ({change.drill})" for change in changes if change.worse]
    if worse:
        raise CheckFailed(f"proven before, not proven now: {', '.join(worse)}")


def _oldest(max_age: str | None) -> float:
    """When the oldest run that counts began, Unix seconds."""

    if max_age is None:
        return 0.0
    try:
        return time.time() - parse_duration(max_age)
    except ValueError as error:
        problem = Problem(Location("--max-age"), str(error), "a Prometheus duration, such as 100d")
        raise InvalidInput("how old may a run be?", [problem]) from error


def _print_coverage(covered: Sequence[Covered]) -> None:

    beginning, last = ("alarm", "severity", "unit tests"), ("time to detect", "its floor")
    right = ("unit tests", *last)
    table = plain_table(*beginning, "drill", "last result", "when", *last, right=right, no_wrap=True)
    for alarm in covered:
        first = (alarm.alarm, alarm.severity, str(alarm.unit_tests))
        if not alarm.proofs:
            table.add_row(*first, "none", "", "", "", "", style="red")
        for number, proof in enumerate(alarm.proofs):
            outcome = proof.outcome.value if proof.outcome is not None else "never ran"
            when = datetime.fromtimestamp(proof.at).astimezone().strftime("%Y-%m-%d %H:%M") if proof.at else ""
            took, least = (_estate(value, proof.factor) for value in (proof.detected_s, proof.floor_s))
            if proof.not_applicable is not None:
                outcome = "not applicable"
            if proof.changed and proof.outcome is not None:
                outcome += ", changed since"
            if proof.too_old:
                outcome += ", too old"
            late = "" if proof.within_tolerance is not False else " late"
            cells = (*(first if number == 0 else ("", "", "")), proof.drill)
            table.add_row(
                *cells,
                Text(outcome, style=_STYLE.get(outcome, "yellow" if proof.outcome else "dim")),
                when,
                took + late,
                least,
            )
    console = output_console()
    console.width = max(console.width, 160)
    console.print(table, crop=False)
    proven = sum(alarm.proven for alarm in covered)
    console.print(
        f"{proven} of {len(covered)} alarms are proven", style="green" if proven == len(covered) else "yellow"
    )


def _print_changes(changes: Sequence[Change]) -> None:

    numbers = ("time to detect", "slower by")
    table = plain_table("drill", "alarm", "before", "after", *numbers, right=numbers, no_wrap=True)
    for change in changes:
        outcomes = [outcome.value if outcome is not None else "—" for outcome in (change.before, change.after)]
        styled = [Text(outcome, style=_STYLE.get(outcome, "dim")) for outcome in outcomes]
        took = f"{_estate(change.before_s) or '—'} → {_estate(change.after_s) or '—'}"
        slower = "" if change.slower_s is None else f"{change.slower_s:+.0f} s"
        table.add_row(change.drill, change.alert or "silence", *styled, took, slower)
    console = output_console()
    console.width = max(console.width, 140)
    console.print(table, crop=False)


def _estate(seconds: float | None, factor: float | None = 1.0) -> str:
    """Real seconds as simulated time."""

    return estate_time(None if seconds is None or factor is None else seconds * factor)


def _covered_json(alarm: Covered) -> dict[str, Any]:

    return {**dataclasses.asdict(alarm), "proven": alarm.proven}

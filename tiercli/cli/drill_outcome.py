"""What came of a drill: printed, and as an exit code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from tiercli.cli.drill_view import summary_lines
from tiercli.cli.terminal import error_console, output_console, print_error
from tiercli.drills.record.history import encode_result
from tiercli.drills.record.result import Outcome
from tiercli.drills.record.run_folder import REPORT
from tiercli.drills.run.files import write_summary
from tiercli.drills.run.request import DrillRun
from tiercli.drills.spec.cast import Cast
from tiercli.errors import ExitCode, InvalidInput, Location, Problem
from tiercli.resources import resource_folder

DEFAULT_CATALOG = "hybrid.yaml"


def print_summary(ended: Sequence[DrillRun], planned: int) -> None:
    """How many of several passed, and where their summary is."""
    summary = write_summary(ended)
    if summary is not None:
        passed = sum(done.result.outcome is Outcome.PASSED for done in ended)
        error_console().print(f"{passed} of {planned} drills passed: {summary}", markup=False)


def print_not_applicable(casts: Iterable[Cast]) -> None:
    """Which of these drills do not apply to the catalog, and why."""
    for cast in casts:
        if cast.not_applicable is not None:
            error_console().print(f"not applicable: {cast.spec.name}: {cast.not_applicable}", markup=False)


def refuse_not_applicable(casts: Iterable[Cast]) -> None:
    """Raise InvalidInput where one of these drills, each asked for by name, does not apply to the catalog."""
    problems = [
        Problem(Location(cast.spec.name), cast.not_applicable) for cast in casts if cast.not_applicable is not None
    ]
    if problems:
        hint = "tiercli drill list --catalog FILE says which drills are"
        raise InvalidInput("not applicable to this catalog", problems, hint=hint)


def print_run(done: DrillRun, output: str) -> None:
    """What came of a run."""
    if output == "json":
        typer.echo(encode_result(done.result), nl=False)
        return
    out = output_console()
    out.print()
    for line in summary_lines(done.result):
        out.print(line)
    out.print(f"report: {done.folder / REPORT}", markup=False)


def exit_code_of(done: DrillRun) -> int:
    """The exit code of a run; an error of the run is printed."""
    if done.error is not None:
        print_error(done.error)
        return done.error.exit_code
    return ExitCode.INTERRUPTED if done.result.interrupted else done.result.outcome.exit_code


def worse(code: int, other_code: int) -> int:
    """The exit code that matters more: a fault that is still on, Ctrl-C, failed, nothing proven, all good."""
    order = [4, 130, 70, 1, 3, 0]
    return min(code, other_code, key=order.index)


def default_catalog() -> Path:
    """The catalog that comes with tiercli."""
    return resource_folder("catalogs") / DEFAULT_CATALOG

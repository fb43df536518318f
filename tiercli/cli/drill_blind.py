"""`tiercli drill blind`: a fault that is not named, the dashboards, a clock."""

from __future__ import annotations

import asyncio
import secrets
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tiercli.catalog.loading import load_catalog
from tiercli.catalog.model import Catalog
from tiercli.cli.drill_outcome import default_catalog
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import CatalogOption, Runs, TextOrJson
from tiercli.cli.terminal import error_console, output_console, plain_table
from tiercli.dashboards.build.provisioning import render_provisioning
from tiercli.drills.blind.answer import culprits_of, parse_answer
from tiercli.drills.blind.ground import survey
from tiercli.drills.blind.panels_read import look_at
from tiercli.drills.blind.person import Given, LineReader, Person
from tiercli.drills.blind.record import Played, encode_played, in_words, verdict_of, write_record
from tiercli.drills.blind.rounds import TARGET_S, Answerer, Course, Panels, Round, play
from tiercli.drills.blind.rules import not_shown
from tiercli.drills.blind.scenario import draw
from tiercli.drills.blind.score import score_of, scores_by_kind
from tiercli.drills.blind.stage import InterruptedDrill, Stage
from tiercli.drills.record.run_folder import REPORT
from tiercli.drills.run.opening import verification_facts
from tiercli.drills.sites.estate import build_estate
from tiercli.drills.sites.sandbox import SANDBOX_LIMITS, sandbox_facts
from tiercli.errors import ExitCode, InvalidInput, Location, Problem, TiercliError
from tiercli.lint.catalog_checks import further_checks
from tiercli.output.writing import write_tree
from tiercli.sandbox.stack.binaries import find_stack


@examples(
    "tiercli drill blind                                   (you answer; your Grafana, or tiercli dashboards show)",
    "tiercli drill blind --auto                            (tiercli answers, from the dashboards' panels alone)",
    "tiercli drill blind --auto --count 60 --at-least 57   (how often are the dashboards enough?)",
    "echo 'errors anthropic/ap-south-1' | tiercli drill blind --seed 7",
    note="An answer is KIND CULPRIT. The kinds: unreachable, cut-off, errors, throttled, unclassified, bad-answers, slow, slow-streams, wrong-region, refusals, answer-length, eval-score, overloaded, quota, spend, prices, gateway-down, replica-missing, audit, unscraped. A culprit is a provider with its region, a server, an alias, a tenant, a region, the gateway, the audit log, or metrics that are not scraped; ? says what each kind means and lists the culprits.\nExit code: 0 right and in time, 1 wrong or late, 3 the environment failed, 4 a fault may still be on, 130 Ctrl-C. With --count 0, or 1 where fewer than --at-least were right.",
)
def blind(
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Random seed; a report shows its seed, so that a run can be repeated.", min=0),
    ] = None,
    catalog: CatalogOption = None,
    auto: Annotated[bool, typer.Option("--auto", help="tiercli answers, from the dashboards' panels alone.")] = False,
    answer: Annotated[
        str | None, typer.Option("--answer", metavar="KIND CULPRIT", help="Use this answer; do not ask.")
    ] = None,
    count: Annotated[int, typer.Option("--count", help="Number of faults, one after another.", min=1)] = 1,
    at_least: Annotated[
        int | None, typer.Option("--at-least", help="Exit 1 if fewer answers are right and in time.", min=0)
    ] = None,
    runs: Runs = Path("runs"),
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the dashboards for your Grafana; not used with --auto.")
    ] = Path("runs/blind-dashboards"),
    prometheus_port: Annotated[int | None, typer.Option("--prometheus-port", help="\\[default: any free port]")] = None,
    factor: Annotated[float, typer.Option("--factor", help="Time compression factor.", min=1)] = 60,
    form: TextOrJson = "text",
) -> None:
    """The human drill: a fault is on and is not named. Whoever is on call has the dashboards and three
    minutes to say what it is and where.

    Everything runs in a sandbox under ordinary load, on loopback, and ends with the command. The report has
    the answer, the time, the truth and what the panels showed.
    """

    if at_least is not None and at_least > count:
        problem = Problem(Location("--at-least"), f"{at_least} of {count} cannot be right", f"at most {count}")
        raise InvalidInput("--at-least is more than --count", [problem])
    loaded = load_catalog(catalog or default_catalog(), further_checks(()))
    ground = survey(loaded.catalog)
    chosen = secrets.randbelow(2**31) if seed is None else seed
    estate = build_estate(loaded, factor, (), ground.settings())
    ground = look_at(ground, estate)
    draw(ground, f"{chosen}/1")  # a catalog that has no fault to draw is refused before anything starts
    answerer = _answerer(loaded.catalog, auto, answer)
    for kind, why in not_shown(ground).items():
        _say(f"not drawn: {kind.value}: {why}")
    ports = {} if prometheus_port is None else {"prometheus": prometheus_port}
    course = Course(ground, estate, find_stack(), chosen, count, ports)
    played, stopped = asyncio.run(_play(course, answerer, auto, None if auto else out))
    if played.rounds:
        folder = write_record(runs, played)
        if form == "json":
            typer.echo(encode_played(played), nl=False)
        else:
            _print(played)
            output_console().print(f"report: {folder / REPORT}", markup=False)
    if stopped is not None:
        raise stopped
    wanted = at_least if at_least is not None else 1 if count == 1 else 0
    if played.score.right < wanted:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _answerer(catalog: Catalog, auto: bool, answer: str | None) -> Answerer:
    """Who answers. Raises InvalidInput for an answer that is none."""

    if auto and answer is not None:
        raise InvalidInput("--auto answers by itself", hint="leave out --answer, or --auto")
    known = culprits_of(catalog)
    if answer is not None:
        return Given(parse_answer(answer, known))
    if auto:
        return Panels()
    return Person(LineReader(sys.stdin.fileno()), known, _say, waits=sys.stdin.isatty())


async def _play(
    course: Course, answerer: Answerer, auto: bool, out: Path | None
) -> tuple[Played, TiercliError | typer.Exit | None]:
    """What was played, and what stopped it before its end, if anything did. `out`: where dashboards are written."""

    rounds: list[Round] = []
    stopped: TiercliError | typer.Exit | None = None
    try:
        async for round_ in play(course, answerer, _say, lambda stage: _ready(stage, out)):
            rounds.append(round_)
            if course.count > 1:
                _say_round(round_, rounds, course.count)
    except InterruptedDrill:
        stopped = typer.Exit(ExitCode.INTERRUPTED)
    except TiercliError as error:
        stopped = error
    estate = course.estate
    facts = verification_facts(estate, sandbox_facts(course.binaries), SANDBOX_LIMITS, Path("a sandbox"))
    catalog, factor = estate.loaded.catalog, estate.timing.factor
    return Played(catalog.estate, catalog.env, factor, course.seed, auto, tuple(rounds), facts), stopped


def _say(text: str) -> None:
    error_console().print(text, markup=False)


def _ready(stage: Stage, out: Path | None) -> None:
    """Write the dashboards, and say how to look at them."""

    if out is None:
        return
    estate, url = stage.sandbox.estate, stage.sandbox.sandbox.addresses.prometheus_url
    catalog = estate.loaded.catalog
    write_tree(out, estate.dashboards() | render_provisioning(catalog), force=True)
    factor = stage.sandbox.estate.timing.factor
    _say(f"dashboards: {out / 'grafana' / 'dashboards'}, for a Grafana with the Prometheus data source {url}")
    _say(f"without one: tiercli dashboards show home --dir {shlex.quote(str(out))} --prometheus {url} --range 5m")
    _say(f"time is compressed ×{factor:g}: look at the last 5 minutes, {5 * factor / 60:g} hours of simulated time")


def _say_round(round_: Round, rounds: Sequence[Round], count: int) -> None:

    message = f"{verdict_of(round_)} after {round_.seconds:.1f} s: {round_.answer or 'no answer'}"
    truth = "" if round_.right else f", and it was {round_.scenario.truth}"
    _say(f"{round_.number} of {count}: {message}{truth}; right so far: {score_of(rounds).right}")


def _print(played: Played) -> None:

    console = output_console()
    if len(played.rounds) > 1:
        _print_scores(played)
        return
    first = played.rounds[0]
    verdict = verdict_of(first)
    style = {"right": "green", "late": "yellow", "wrong": "red"}[verdict]
    console.print(f"[{style}]{verdict}[/]  after {first.seconds:.1f} s of {TARGET_S:g} s")
    console.print(f"  answer: {first.answer or 'none'}", markup=False)
    console.print(f"  truth:  {first.scenario.truth}: {in_words(first)}", markup=False)
    console.print("what the panels showed:" if first.shown else "the panels showed nothing yet", markup=False)
    for finding in first.shown:
        console.print(f"  {finding.answer}: {'; '.join(finding.shown)}", markup=False)


def _print_scores(played: Played) -> None:

    console = output_console()
    table = plain_table("kind", "right")
    for kind, score in scores_by_kind(played.rounds).items():
        table.add_row(kind.value, str(score))
    console.print(table)
    missed = [round_ for round_ in played.rounds if verdict_of(round_) != "right"]
    if missed:
        table = plain_table("round", "what", "after", "answer", "truth")
        for round_ in missed:
            truth = f"{round_.scenario.truth}: {in_words(round_)}"
            cells = (
                str(round_.number),
                verdict_of(round_),
                f"{round_.seconds:.1f} s",
                str(round_.answer or "none"),
                truth,
            )
            table.add_row(*map(escape, cells))
        console.print(table)
    console.print(f"right in {played.score}", markup=False)

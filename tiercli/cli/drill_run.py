"""`tiercli drill run`: drills in a sandbox, or in a live environment."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.cli.drill_live import LiveOptions, run_live
from tiercli.cli.drill_outcome import (
    default_catalog,
    exit_code_of,
    print_not_applicable,
    print_run,
    print_summary,
    refuse_not_applicable,
    worse,
)
from tiercli.cli.drill_view import PlainView, TerminalView
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import CatalogOption, Drills, Runs, Templates, TextOrJson
from tiercli.cli.terminal import error_console
from tiercli.drills.load.locust import Workers
from tiercli.drills.run.request import RunRequest
from tiercli.drills.run.several import run_drills
from tiercli.drills.sites.estate import Estate, build_estate
from tiercli.drills.sites.real import left_out_by, real_parts
from tiercli.drills.spec.cast import Cast, cast_drills
from tiercli.drills.spec.files import drill_files, find_drill
from tiercli.errors import ExitCode, InvalidInput, Location, Problem
from tiercli.lint.catalog_checks import further_checks
from tiercli.rules.alarm_files import AlarmSet, load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.rules.fingerprints import catalog_fingerprint, rule_fingerprints
from tiercli.sandbox.real_parts.interface import RealPart
from tiercli.sandbox.stack.binaries import find_stack

_LIVE = "In an environment"


@examples(
    "tiercli drill run provider-outage",
    "tiercli drill run --all --runs quarter-4",
    "tiercli drill run my-drill --drills ./drills --catalog my.yaml --format json > result.json",
    "tiercli drill run local-queue --real llama.cpp --catalog my.yaml      (a real server in place of the simulated one)",
    "tiercli drill run provider-outage --env staging --catalog my.yaml --dry-run      (shows what it would do and cost)",
    "tiercli drill run provider-outage --env live --production live --catalog my.yaml --spend-cap 5",
    "tiercli drill run provider-outage --env staging --catalog my.yaml --await-workers 2 --bind 10.0.0.5:5557",
    note="Exit code: 0 passed, 1 failed, 2 invalid input, 3 the environment failed and nothing was proven, 4 a fault may still be on, 130 Ctrl-C.",
)
def run(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names or files of drills.", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Run every drill.")] = False,
    catalog: CatalogOption = None,
    drills: Drills = None,
    templates: Templates = None,
    runs: Runs = Path("runs"),
    factor: Annotated[
        float | None, typer.Option("--factor", help="Time compression factor, in place of the drill's own.", min=1)
    ] = None,
    isolated: Annotated[
        bool, typer.Option("--isolated", help="Use a sandbox for each drill, even where drills could share one.")
    ] = False,
    workers: Annotated[
        int, typer.Option("--workers", help="Locust workers on this machine that share the load.", min=0, max=64)
    ] = 0,
    await_workers: Annotated[
        int,
        typer.Option(
            "--await-workers", help="Workers on other machines, each a `tiercli drill worker`.", min=0, max=256
        ),
    ] = 0,
    bind: Annotated[
        str,
        typer.Option(
            "--bind", help="Address that remote workers connect to; port 0 takes any free port.", metavar="HOST:PORT"
        ),
    ] = "127.0.0.1:0",
    parallel: Annotated[
        int | None,
        typer.Option("--parallel", help="Sandboxes to run in parallel. \\[default: one per core, at most 2]", min=1),
    ] = None,
    real: Annotated[
        list[str] | None,
        typer.Option(
            "--real",
            help="Use this program in place of its simulation: litellm, llama.cpp; may be repeated.",
            metavar="NAME",
        ),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            "--env",
            help="Run in this environment of the catalog, in place of a sandbox.",
            metavar="NAME",
            rich_help_panel=_LIVE,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show what would be done and what it may cost; do nothing.", rich_help_panel=_LIVE
        ),
    ] = False,
    production: Annotated[
        str | None,
        typer.Option(
            "--production",
            help="Name of the environment again; required for production.",
            metavar="NAME",
            rich_help_panel=_LIVE,
        ),
    ] = None,
    spend_cap: Annotated[
        float | None,
        typer.Option("--spend-cap", help="Most that a drill may cost, US dollars.", min=0, rich_help_panel=_LIVE),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            help="Calls per second. \\[default: as many per rate window as in a sandbox]",
            min=0.01,
            rich_help_panel=_LIVE,
        ),
    ] = None,
    form: TextOrJson = "text",
) -> None:
    """Run drills in a sandbox: a real Prometheus and Alertmanager around a simulated estate, under load.

    Everything runs on loopback and ends with the command. Time is compressed by the drill's factor. Drills
    with the same time factor, load and estate share a sandbox.

    With --env drills run in a live environment: in real time, against its gateway, Prometheus and
    Alertmanager, one at a time, within a spend cap. Faults end by themselves seconds after the drill, however
    it ends.
    """

    if every == bool(names):
        message = "--all is every drill there is" if every else "no drill is named"
        raise InvalidInput(message, hint="name drills (tiercli drill list), or give --all and no name")
    chosen = list(drill_files(drills or ())) if every else list(names or ())
    sharing = _workers(workers, await_workers, bind)
    if env is not None:
        if factor is not None or isolated or parallel is not None or real:
            message = "--factor, --isolated, --parallel and --real are for sandboxes"
            raise InvalidInput(message, hint="an environment has its own factor, and its drills run one after another")

        options = LiveOptions(env, production, dry_run, spend_cap, rate, every, form)
        raise typer.Exit(run_live(chosen, catalog, drills or (), templates or (), runs, sharing, options))
    if dry_run or production or spend_cap is not None or rate is not None:
        raise InvalidInput("this option needs --env", hint="--env NAME, of the catalog's `environments`")
    loaded = load_catalog(catalog or default_catalog(), further_checks(templates or ()))
    deployed = load_alarm_set(loaded, timing_of(loaded.catalog), templates or ())
    casts = cast_drills([find_drill(name, drills or ()) for name in chosen], loaded, deployed)
    parts = real_parts(real or (), loaded.catalog)
    casts = [left_out_by(cast, parts) for cast in casts]
    if not every:
        refuse_not_applicable(casts)
    requests = [
        dataclasses.replace(request, workers=sharing)
        for request in _requests(casts, loaded, deployed, templates or (), runs, factor, parts)
    ]
    at_once = parallel or min(2, os.cpu_count() or 1)
    worst: int = asyncio.run(_run_all(requests, share=not isolated, parallel=at_once, output=form))
    if every:
        print_not_applicable(casts)
    raise typer.Exit(worst)


def _workers(here: int, elsewhere: int, bind: str) -> Workers:
    """Who shares the load. Raises InvalidInput for what is no HOST:PORT."""

    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        problem = Problem(Location("--bind"), f"{bind!r}", "HOST:PORT, such as 10.0.0.5:5557")
        raise InvalidInput("no address to wait for workers at", [problem])
    return Workers(here, elsewhere, host.strip("[]"), int(port))


def _requests(
    casts: Sequence[Cast],
    loaded: LoadedCatalog,
    deployed: AlarmSet,
    templates: Sequence[Path],
    runs: Path,
    factor: float | None,
    real: tuple[RealPart, ...],
) -> list[RunRequest]:
    """What is to be run of the drills: those that apply, each on the estate that it needs."""

    binaries = find_stack()
    sha256, rules = catalog_fingerprint(loaded.catalog), rule_fingerprints(loaded, deployed)
    estates: dict[tuple[object, ...], Estate] = {}
    requests = []
    for cast in casts:
        if cast.not_applicable is not None:
            continue
        key = (factor or cast.spec.factor, cast.spec.sandbox)
        if key not in estates:
            estates[key] = build_estate(loaded, factor or cast.spec.factor, templates, cast.spec.sandbox, real)
        requests.append(
            RunRequest(cast.spec, estates[key], binaries, runs, played=cast.played, catalog_sha256=sha256, rules=rules)
        )
    return requests


async def _run_all(requests: Sequence[RunRequest], *, share: bool, parallel: int, output: str) -> int:
    """Run them, print what came of each as it ends, and give the exit code."""

    errors = error_console()
    several = parallel > 1 and len(requests) > 1

    def view_of(request: RunRequest) -> TerminalView | PlainView:
        if several:
            return PlainView(errors, f"{request.spec.name}: ")
        return TerminalView(errors, request.spec) if errors.is_terminal else PlainView(errors)

    worst: int = ExitCode.OK
    ended = []
    async for done in run_drills(requests, view_of, share=share, parallel=parallel):
        print_run(done, output)
        worst = worse(worst, exit_code_of(done))
        ended.append(done)
    print_summary(ended, len(requests))
    return worst

"""`tiercli drill run --env`: what would be done, and doing it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiercli.catalog.loading import LoadedCatalog, load_catalog
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
from tiercli.cli.terminal import error_console, output_console, print_json
from tiercli.drills.load.locust import Workers
from tiercli.drills.record.run_folder import make_runs_folder
from tiercli.drills.run.one import run_drill
from tiercli.drills.run.request import DrillRun, RunRequest
from tiercli.drills.sites.live import LiveSite
from tiercli.drills.sites.live_checks import check_live, versions
from tiercli.drills.sites.live_plan import LivePlan, plan_live
from tiercli.drills.spec.cast import cast_drills
from tiercli.drills.spec.files import find_drill
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.faults.environment.live import LiveInjectors
from tiercli.lint.catalog_checks import further_checks
from tiercli.money import dollars
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.rules.fingerprints import catalog_fingerprint, rule_fingerprints


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What was asked for. `production`: the environment's name, where it is production. `every`: all drills that apply."""

    env: str
    production: str | None
    dry_run: bool
    spend_cap: float | None
    rate: float | None
    every: bool
    output: str


def run_live(
    names: Sequence[str],
    catalog: Path | None,
    drills: Sequence[Path],
    templates: Sequence[Path],
    runs: Path,
    workers: Workers,
    options: LiveOptions,
) -> int:
    """Run drills one after another in an environment; the exit code. Raises InvalidInput for whatever is wrong, before anything is
    touched, and BackendError where a server does not answer."""

    loaded = load_catalog(catalog or default_catalog(), further_checks(templates))
    _check_production(loaded, options)
    deployed = load_alarm_set(loaded, timing_of(loaded.catalog), templates)
    casts = cast_drills([find_drill(name, drills) for name in names], loaded, deployed)
    if options.every:
        print_not_applicable(casts)
    else:
        refuse_not_applicable(casts)
    casts = [cast for cast in casts if cast.not_applicable is None]
    plans = [
        plan_live(loaded, options.env, cast.spec, templates, cap_usd=options.spend_cap, rate=options.rate)
        for cast in casts
    ]
    # The rules of an environment whose time is compressed are compressed too; what is proven are the catalog's.
    sha256, rules = catalog_fingerprint(loaded.catalog), rule_fingerprints(loaded, deployed)
    requests = [
        RunRequest(
            plan.spec,
            plan.estate,
            None,
            runs,
            workers=workers,
            played=cast.played,
            catalog_sha256=sha256,
            rules=rules,
        )
        for plan, cast in zip(plans, casts, strict=True)
    ]
    return asyncio.run(_all(plans, requests, options))


def _check_production(loaded: LoadedCatalog, options: LiveOptions) -> None:

    production = loaded.environment(options.env).production
    if production and options.production != options.env and not options.dry_run:
        place = loaded.document.locate(("environments", options.env), key=True)
        problem = Problem(place, f"{options.env!r} is production", f"--production {options.env}")
        raise InvalidInput("a drill runs in production only with --production NAME", [problem])
    if options.production is not None and not (production and options.production == options.env):
        message = f"{options.env!r} is not production" if not production else f"{options.production!r} is not --env"
        raise InvalidInput("which environment?", [Problem(Location("--production"), message, f"--env {options.env}")])


def _injectors(plan: LivePlan, runs: Path | None = None) -> LiveInjectors:
    """The injectors of faults; a file in `runs` lists the faults that are on."""

    loaded = plan.estate.loaded
    return LiveInjectors(
        plan.environment,
        plan.name,
        Path(loaded.document.name).parent,
        loaded.document.locate,
        tiers={name: provider.tier for name, provider in loaded.catalog.providers.items()},
        note_folder=runs,
    )


async def _all(plans: Sequence[LivePlan], requests: Sequence[RunRequest], options: LiveOptions) -> int:

    errors = error_console()
    for plan in plans:  # all of them, before the first begins
        errors.print(f"looking at {plan.name} for {plan.spec.name}", markup=False)
        async with _injectors(plan) as injectors:
            await check_live(plan, injectors)
    if options.dry_run:
        _print_plans(plans, options.output)
        return 0
    worst, done = 0, []
    for plan, request in zip(plans, requests, strict=True):
        make_runs_folder(request.runs)
        for line in _lines(plan):
            errors.print(line, markup=False)
        run = await _one(plan, request)
        print_run(run, options.output)
        worst = worse(worst, exit_code_of(run))
        done.append(run)
        if run.result.interrupted or run.error is not None:
            break
    print_summary(done, len(plans))
    return worst


async def _one(plan: LivePlan, request: RunRequest) -> DrillRun:

    errors = error_console()
    view = TerminalView(errors, plan.spec) if errors.is_terminal else PlainView(errors)
    with view:
        async with LiveSite(plan, _injectors(plan, request.runs), await versions(plan), view.say) as site:
            return await run_drill(request, view, site)


def _lines(plan: LivePlan) -> list[str]:
    """What a drill does, a line each."""
    spec, factor = plan.spec, plan.environment.factor
    to = plan.gateway.url if plan.gateway else f"{len(plan.environment.endpoints)} endpoints, through tiercli proxy"
    lines = [
        f"{spec.name} in {plan.name}{' (production)' if plan.environment.production else ''}: {spec.description}",
        f"  takes at most {plan.seconds / 60:.0f} min of real time",
        f"  sends {spec.load.arrivals_per_second:.3g} calls/s to {to}: {plan.calls:,.0f} calls, "
        f"at most {dollars(plan.usd)} USD of {dollars(plan.cap_usd)} USD",
    ]
    lines += [f"  brings about {use.fault} on {_target(use.target)}" for use in spec.faults]
    for expected in spec.expect:
        notified = f"notifies {expected.receiver}" if expected.receiver else "notifies no receiver"
        real = f"within {expected.firing_within}" + (f" of simulated time, ÷ {factor:g}" if factor != 1 else "")
        lines.append(f"  expects {expected.alert} {_target(expected.labels)} {real}, {notified}")
    return lines


def _target(labels: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in labels.items()) or "everything"


def _print_plans(plans: Sequence[LivePlan], output: str) -> None:

    if output == "json":
        print_json([_json(plan) for plan in plans])
        return
    for plan in plans:
        for line in _lines(plan):
            output_console().print(line, markup=False)
    output_console().print("nothing was touched", markup=False)


def _json(plan: LivePlan) -> dict[str, Any]:
    spec = plan.spec
    return {
        "drill": spec.name,
        "environment": plan.name,
        "production": plan.environment.production,
        "seconds": round(plan.seconds, 1),
        "calls": round(plan.calls),
        "calls_by_alias": {name: round(count) for bound in plan.bounds for name, count in bound.calls.items()},
        "usd_at_most": plan.usd,
        "usd_cap": plan.cap_usd,
        "faults": [{"fault": use.fault, "target": dict(use.target), "settings": use.settings} for use in spec.faults],
        "expect": [expected.model_dump(mode="json", exclude_none=True) for expected in spec.expect],
    }

"""`tiercli drill bell`: one test alert for each severity and owner, followed to its receiver."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Annotated

import typer

from tiercli.catalog.loading import load_catalog
from tiercli.catalog.names import unknown_name
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import Environment, RequiredCatalog, TextOrJson
from tiercli.cli.terminal import error_console, output_console, print_json
from tiercli.clients.alertmanager import AlertmanagerClient
from tiercli.clients.environment_access import access_to
from tiercli.drills.bell import Bell, Peal, bells_of, ring
from tiercli.errors import CheckFailed, InvalidInput, Location
from tiercli.lint.catalog_checks import further_checks


@examples(
    "tiercli drill bell --env staging --catalog my.yaml",
    "tiercli drill bell --env production --catalog my.yaml --severity page --owner platform",
    "tiercli drill bell --env production --catalog my.yaml --dry-run      (what would ring, and where)",
)
def bell(
    env: Environment,
    catalog: RequiredCatalog,
    severity: Annotated[
        list[str] | None, typer.Option("--severity", help="Only this one; may be repeated.", metavar="SEVERITY")
    ] = None,
    owner: Annotated[list[str] | None, typer.Option("--owner", help="Only this one; may be repeated.")] = None,
    within: Annotated[float, typer.Option("--within", help="Seconds in which every bell must be sent.", min=1)] = 60,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would ring; ring nothing.")] = False,
    form: TextOrJson = "text",
) -> None:
    """Ring the fire bell: send one test alert for each severity and owner into an environment's Alertmanager,
    and follow it to its receiver.

    The alerts are marked as tests, ended, and checked to be gone. Traffic is not touched. Every pager in the
    catalog rings once. Exit 1 if a bell did not arrive.
    """

    loaded = load_catalog(catalog, further_checks(with_cases=False))
    access = access_to(loaded, env, "alertmanager", "the bell rings in an Alertmanager")
    client = AlertmanagerClient(access.url, headers=access.headers, verify=access.verify)
    bells = _chosen(bells_of(loaded.catalog), severity or [], owner or [])
    if dry_run:
        _print_bells(bells, form)
        return
    errors = error_console()

    async def rung() -> Peal:
        async with client:
            return await ring(
                client, loaded.catalog, bells, within_s=within, say=lambda text: errors.print(text, markup=False)
            )

    peal = asyncio.run(rung())
    _print(peal, form)
    if not peal.passed:
        message = [f"{rung.bell.severity} of {rung.bell.owner}: {rung.problem}" for rung in peal.rung if rung.problem]
        message += [f"{kind} failed to send" for kind in peal.failed_integrations]
        message += [f"still there: {', '.join(peal.left)}"] if peal.left else []
        raise CheckFailed("; ".join(message), hint="Alertmanager's log says why a notification failed")


def _chosen(bells: list[Bell], severities: list[str], owners: list[str]) -> list[Bell]:

    problems = []
    for kind, wanted, known in (
        ("severity", severities, {bell_.severity for bell_ in bells}),
        ("owner", owners, {bell_.owner for bell_ in bells}),
    ):
        problems += [
            unknown_name(kind, bell_, sorted(known), Location(f"--{kind}")) for bell_ in wanted if bell_ not in known
        ]
    if problems:
        raise InvalidInput("no receiver to ring", problems)
    return [
        bell_
        for bell_ in bells
        if (not severities or bell_.severity in severities) and (not owners or bell_.owner in owners)
    ]


def _print_bells(bells: list[Bell], output: str) -> None:

    if output == "json":
        print_json([dataclasses.asdict(bell_) for bell_ in bells])
        return
    for bell_ in bells:
        by = ", ".join(bell_.integrations) or "no integration: kept in Alertmanager"
        output_console().print(f"{bell_.severity} of {bell_.owner} → {bell_.receiver} ({by})", markup=False)


def _print(peal: Peal, output: str) -> None:

    if output == "json":
        print_json({"passed": peal.passed, **dataclasses.asdict(peal)})
        return
    console = output_console()
    for rung in peal.rung:
        mark, style = ("✗", "red") if rung.problem else ("✓", "green")
        by = ", ".join(rung.bell.integrations) or "no integration: kept in Alertmanager"
        message = rung.problem or f"reached {rung.seen_at} ({by})"
        console.print(f"[{style}]{mark}[/] ", end="")
        console.print(f"{rung.bell.severity} of {rung.bell.owner}: {message}", markup=False)
    if peal.sent_s is not None:
        console.print(f"sent out within {peal.sent_s:.1f} s; nothing of it is left", markup=False)

"""`tiercli dashboards apply`: dashboards into a running Grafana."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from tiercli.cli.dashboard_sources import render_boards
from tiercli.cli.grafana_token import read_token
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import CatalogFile, Templates, TextOrJson
from tiercli.cli.terminal import output_console, print_json
from tiercli.clients.grafana import GrafanaClient
from tiercli.conventions import folder_uid
from tiercli.dashboards.build.provisioning import folder_title
from tiercli.output.grafana_apply import Action, ApplyPlan, apply_plan, plan_apply, refusal

APPLY_EPILOG = (
    "Examples:\n\n"
    "  tiercli dashboards apply my.yaml --grafana https://grafana.internal --dry-run\n\n"
    "  TIERCLI_GRAFANA_TOKEN=… tiercli dashboards apply my.yaml --grafana https://grafana.internal\n\n"
    "  tiercli dashboards apply my.yaml --grafana https://grafana.internal --token-file /run/secrets/grafana --ca-file ca.pem"
)


@examples(
    "tiercli dashboards apply my.yaml --grafana https://grafana.internal --dry-run",
    "TIERCLI_GRAFANA_TOKEN=… tiercli dashboards apply my.yaml --grafana https://grafana.internal",
    "tiercli dashboards apply my.yaml --grafana https://grafana.internal --token-file /run/secrets/grafana --ca-file ca.pem",
)
def apply(
    catalog: CatalogFile,
    grafana: Annotated[
        str,
        typer.Option(
            "--grafana", envvar="TIERCLI_GRAFANA_URL", metavar="URL", help="URL of the server.", show_default=False
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; save nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite boards that were edited in Grafana.")] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="File with a service account's token. \\[default: TIERCLI_GRAFANA_TOKEN]",
        ),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option("--ca-file", metavar="FILE", help="Certificates (PEM) to trust in place of the system's."),
    ] = None,
    templates: Templates = None,
    form: TextOrJson = "text",
) -> None:
    """Create or update the dashboards and their folder in a Grafana, over its HTTP API.

    Unchanged dashboards are not saved again. If somebody edited a dashboard in Grafana, nothing is saved
    without --force (exit 1). Exit 3 if Grafana does not answer or does not accept the token.
    """

    loaded, rendered = render_boards(catalog, templates)
    boards = {Path(path).stem: json.loads(text) for path, text in rendered.items()}
    folder = folder_uid(loaded.catalog.estate, loaded.catalog.env), folder_title(loaded.catalog)
    client = GrafanaClient(grafana, read_token(token_file), ca_file)
    catalog_text = loaded.catalog.model_dump_json()

    async def applied() -> ApplyPlan:
        async with client:
            plan = await plan_apply(client, folder, boards, force=force)
            if not dry_run and not plan.refused:
                await apply_plan(client, plan, catalog_text, force=force)
            return plan

    plan = asyncio.run(applied())
    if form == "json":
        rows = [
            {"name": board.name, "uid": board.uid, "action": board.action.value, "reason": board.reason}
            for board in plan.boards
        ]
        done = {"folder": plan.folder_title, "folder_uid": plan.folder_uid, "new_folder": plan.new_folder}
        print_json({**done, "dry_run": dry_run, "dashboards": rows})
    else:
        _print_plan(plan, client.url, dry_run)
    if plan.refused:
        raise refusal(plan)


def _print_plan(plan: ApplyPlan, url: str, dry_run: bool) -> None:

    console = output_console()
    signs = {Action.CREATE: "+", Action.UPDATE: "~", Action.REFUSE: "!"}
    for board in plan.boards:
        if board.action in signs:
            why = f" ({board.reason})" if board.reason else ""
            console.print(f"{signs[board.action]} {board.name}{why}", markup=False)
    counts = {action: sum(board.action is action for board in plan.boards) for action in Action}
    words = f"{counts[Action.CREATE]} created, {counts[Action.UPDATE]} updated, {counts[Action.UNCHANGED]} unchanged"
    console.print(
        f"{plan.folder_title} at {url}: {words}{'; nothing saved, a dry run' if dry_run else ''}", markup=False
    )

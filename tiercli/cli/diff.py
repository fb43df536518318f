"""`tiercli diff`: what a deploy would change."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from tiercli.catalog.loading import load_catalog
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import CatalogFile, Templates, TextJsonOrGithub
from tiercli.cli.terminal import output_console, print_json
from tiercli.clients.prometheus import PrometheusClient
from tiercli.errors import CheckFailed, InvalidInput
from tiercli.lint.catalog_checks import further_checks
from tiercli.lint.formats import github_annotation
from tiercli.output.differences import Change, Deployed, compare, deployed_rules, deployed_tree
from tiercli.output.tree import ALERTMANAGER_FILE, RULES_PATH, render_tree
from tiercli.output.wrapping import unwrapped
from tiercli.rules.deployment import Deployment

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


@examples(
    "tiercli diff catalogs/hybrid.yaml --against monitoring",
    "tiercli diff my.yaml --against http://prometheus.internal:9090      (the rules that it has loaded)",
    "tiercli diff my.yaml --against monitoring --format github",
)
def diff(
    catalog: CatalogFile,
    against: Annotated[
        str, typer.Option("--against", help="Generated folder, or URL of a Prometheus.", show_default=False)
    ],
    templates: Templates = None,
    form: TextJsonOrGithub = "text",
) -> None:
    """Show what a deploy would change: alerts, records, panels and routes. Exit 1 if anything differs.

    Against a Prometheus only rules are compared, and only those in tiercli's groups.
    """

    loaded = load_catalog(catalog, further_checks(templates or ()))
    after = deployed_tree(render_tree(loaded, Deployment.production(loaded.catalog), templates or ()))
    before = asyncio.run(_of_prometheus(against)) if "://" in against else _of_folder(Path(against))
    changes = compare(before, after)
    if form == "json":
        entries = [
            {name: getattr(change, name) for name in ("kind", "what", "name", "part", "before", "after")}
            for change in changes
        ]
        print_json({"changes": entries, "foreign_groups": list(before.foreign)})
    elif form == "github":
        for change in changes:
            typer.echo(github_annotation("notice", _line(change)[2:], title=f"{change.kind} {change.what}"))
    else:
        for change in changes:
            output_console().print(
                _line(change), markup=False, style={"+": "green", "-": "red"}.get(_SIGNS[change.kind])
            )
        if before.foreign:
            output_console().print(f"{len(before.foreign)} rule groups of others are not compared", markup=False)
    counts = Counter(change.kind for change in changes)
    message = ", ".join(f"{counts[kind]} {kind}" for kind in _SIGNS if counts[kind])
    if changes:
        raise CheckFailed(f"{against} is not what {catalog} gives: {message}")
    if form == "text":
        output_console().print(f"{against} is what {catalog} gives", markup=False)


def _line(change: Change) -> str:
    head = f"{_SIGNS[change.kind]} {change.what} {change.name}"
    if change.kind != "changed":
        return head
    return f"{head}: {change.part} from {change.before or 'nothing'} to {change.after or 'nothing'}"


def _of_folder(folder: Path) -> Deployed:

    paths = [
        folder / RULES_PATH,
        folder / ALERTMANAGER_FILE,
        *sorted((folder / "grafana" / "dashboards").glob("*.json")),
        *(path for wrap in ("kubernetes", "mimir") for path in sorted((folder / wrap).glob("*.yaml"))),
    ]
    tree = {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in paths if path.is_file()}
    if not tree:
        raise InvalidInput(
            f"{folder} has no file that tiercli generated", hint="name a generated folder, or the URL of a Prometheus"
        )
    return deployed_tree(unwrapped(tree))


async def _of_prometheus(url: str) -> Deployed:

    async with PrometheusClient(url, timeout_s=30) as prometheus:
        return deployed_rules([loaded.rule for loaded in await prometheus.rules()])

"""`tiercli verify`: which alarms are blind on a running Prometheus."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from tiercli.catalog.loading import load_catalog
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import CatalogFile, Templates, TextJsonOrGithub
from tiercli.cli.terminal import error_console, output_console, print_json
from tiercli.clients.prometheus import PrometheusClient
from tiercli.errors import CheckFailed
from tiercli.lint.catalog_checks import further_checks
from tiercli.lint.formats import github_annotation
from tiercli.lint.live.blindness import judge_alarms
from tiercli.lint.live.inspection import Inspection, inspect_prometheus
from tiercli.output.tree import RULES_PATH, render_tree
from tiercli.rules.deployment import Deployment
from tiercli.signals.rule import read_rules

_STYLE = {"sees": "green", "quiet": "blue", "blind": "bold red"}


@examples(
    "tiercli verify catalogs/hybrid.yaml --prometheus http://prometheus.internal:9090",
    "tiercli verify my.yaml --prometheus http://localhost:9090 --format github",
)
def verify(
    catalog: CatalogFile,
    prometheus: Annotated[
        str,
        typer.Option("--prometheus", envvar="TIERCLI_PROMETHEUS_URL", help="URL of the server.", show_default=False),
    ],
    templates: Templates = None,
    form: TextJsonOrGithub = "text",
) -> None:
    """Check of every alarm whether it could fire now.

    An alarm is blind if its inputs have no data, its rule is not loaded as generated, samples are not kept
    long enough, or no Alertmanager is connected. Exit 1 if one is blind, 3 if Prometheus does not answer.
    """

    loaded = load_catalog(catalog, further_checks(templates or ()))
    tree = render_tree(loaded, Deployment.production(loaded.catalog), templates or ())
    rules = read_rules(tree[RULES_PATH], RULES_PATH)
    if error_console().is_terminal:
        error_console().print(f"[dim]asking {prometheus}[/]", markup=True)

    async def inspect() -> Inspection:
        async with PrometheusClient(prometheus, timeout_s=30) as client:
            return await inspect_prometheus(client, loaded.catalog, rules)

    inspection = asyncio.run(inspect())
    alarms = judge_alarms(rules, inspection.state)
    blind = [alarm for alarm in alarms if alarm.state == "blind"]
    if form == "json":
        entries = [
            {"alarm": alarm.alarm, "state": alarm.state, "blind": list(alarm.blind), "quiet": list(alarm.quiet)}
            for alarm in alarms
        ]
        content = {"prometheus": inspection.version, "alarms": entries, "doubts": list(inspection.doubts)}
        print_json(content)
    elif form == "github":
        for alarm in blind:
            typer.echo(github_annotation("error", "; ".join(alarm.blind), title=f"{alarm.alarm} is blind"))
        for doubt in inspection.doubts:
            typer.echo(github_annotation("warning", doubt, title="tiercli verify"))
    else:
        console = output_console()
        for alarm in alarms:
            console.print(f"[{_STYLE[alarm.state]}]{alarm.state:<6}[/] {alarm.alarm}")
            for reason in (*alarm.blind, *alarm.quiet):
                console.print(f"         {reason}", markup=False, style="dim")
        for doubt in inspection.doubts:
            console.print(f"doubt: {doubt}", markup=False, style="yellow")
        counts = {state: sum(alarm.state == state for alarm in alarms) for state in _STYLE}
        console.print(f"{len(alarms)} alarms: " + ", ".join(f"{count} {state}" for state, count in counts.items()))
    if blind:
        raise CheckFailed(
            f"{len(blind)} of {len(alarms)} alarms are blind: {', '.join(alarm.alarm for alarm in blind)}",
            hint="load the files of `tiercli generate`, and check the targets without data",
        )

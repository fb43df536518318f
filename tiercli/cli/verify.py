"""`tiercli verify`: which alarms are blind on a running Prometheus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tiercli.cli.terminal import error_console, output_console

_EPILOG = (
    "Examples:\n\n"
    "  tiercli verify catalogs/hybrid.yaml --prometheus http://prometheus.internal:9090\n\n"
    "  tiercli verify my.yaml --prometheus http://localhost:9090 --format github"
)
_STYLE = {"sees": "green", "quiet": "blue", "blind": "bold red"}


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(epilog=_EPILOG)(verify)


def verify(
    catalog: Annotated[Path, typer.Argument(help="The catalog file; - is standard input.", show_default=False)],
    prometheus: Annotated[
        str, typer.Option("--prometheus", envvar="TIERCLI_PROMETHEUS_URL", help="Its URL.", show_default=False)
    ],
    templates: Annotated[
        list[Path] | None, typer.Option("--templates", help="A folder of your own alarm files; may be repeated.")
    ] = None,
    form: Annotated[
        Literal["text", "json", "github"], typer.Option("--format", help="How to say what was seen.")
    ] = "text",
) -> None:
    """Say of every alarm whether it could fire now: its inputs have data, its rule is loaded as generated, samples are kept
    long enough, an Alertmanager is connected. Exit 1 when one is blind, 3 when Prometheus cannot be asked.
    """
    import asyncio
    import json

    from tiercli.catalog.loading import load_catalog
    from tiercli.clients.prometheus import PrometheusClient
    from tiercli.errors import CheckFailed
    from tiercli.lint.catalog_checks import further_checks
    from tiercli.lint.linted import read_rules
    from tiercli.lint.live.blindness import GeneratedRule, judge_alarms
    from tiercli.lint.live.looking import Look, look_at
    from tiercli.output.differences import deployed_tree
    from tiercli.output.tree import RULES_PATH, render_tree
    from tiercli.rules.deployment import Deployment

    loaded = load_catalog(catalog, further_checks(templates or ()))
    tree = render_tree(loaded, Deployment.production(loaded.catalog), templates or ())
    rules = [GeneratedRule(rule.kind, rule.name, rule.expr) for rule in read_rules(tree[RULES_PATH], RULES_PATH)]
    if error_console().is_terminal:
        error_console().print(f"[dim]asking {prometheus}[/]", markup=True)

    async def look() -> Look:
        async with PrometheusClient(prometheus, timeout_s=30) as client:
            return await look_at(client, loaded.catalog, rules, deployed_tree({RULES_PATH: tree[RULES_PATH]}))

    seen = asyncio.run(look())
    sights = judge_alarms(rules, seen.seen)
    blind = [one for one in sights if one.state == "blind"]
    if form == "json":
        entries = [
            {"alarm": one.alarm, "state": one.state, "blind": list(one.blind), "quiet": list(one.quiet)}
            for one in sights
        ]
        said = {"prometheus": seen.version, "alarms": entries, "doubts": list(seen.doubts)}
        typer.echo(json.dumps(said, indent=2, ensure_ascii=False))
    elif form == "github":
        for one in blind:
            typer.echo(f"::error title={one.alarm} is blind::{'; '.join(one.blind)}")
        for doubt in seen.doubts:
            typer.echo(f"::warning title=tiercli verify::{doubt}")
    else:
        console = output_console()
        for one in sights:
            console.print(f"[{_STYLE[one.state]}]{one.state:<6}[/] {one.alarm}")
            for reason in (*one.blind, *one.quiet):
                console.print(f"         {reason}", markup=False, style="dim")
        for doubt in seen.doubts:
            console.print(f"doubt: {doubt}", markup=False, style="yellow")
        counts = {state: sum(one.state == state for one in sights) for state in _STYLE}
        console.print(f"{len(sights)} alarms: " + ", ".join(f"{count} {state}" for state, count in counts.items()))
    if blind:
        raise CheckFailed(
            f"{len(blind)} of {len(sights)} alarms are blind: {', '.join(one.alarm for one in blind)}",
            hint="load what `tiercli generate` writes, and look at the targets of what has no data",
        )

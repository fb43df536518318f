"""`tiercli budget --prometheus` and `--metrics`: the plan against the series that exist."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import typer

from tiercli.cardinality.exposition import Exposed
from tiercli.cardinality.exposition_grammar import SERVERS
from tiercli.cardinality.plan import Plan
from tiercli.cardinality.reality import Compared, Reality, compare
from tiercli.cardinality.scraped_metrics import scraped_metrics
from tiercli.catalog.loading import LoadedCatalog
from tiercli.cli.target_metrics import read_target, refuse_malformed, tell_notes
from tiercli.cli.terminal import output_console, print_json
from tiercli.cli.wide_table import SHOWN_ROWS, Column, print_table
from tiercli.clients.prometheus import PrometheusClient
from tiercli.errors import CheckFailed, InvalidInput
from tiercli.lint.formats import github_annotation
from tiercli.lint.live.series import TIMEOUT_S, LiveSeries, fetch_series

_METRICS_SHOWN = 6


def compare_with(
    loaded: LoadedCatalog, plan: Plan, prometheus: str | None, metrics: str | None, form: str, *, every_row: bool
) -> None:
    """Compare and print, `every_row` or the largest. Raises CheckFailed where the catalog does not explain every series, InvalidInput where the text of a
    target is malformed."""

    if prometheus is not None and metrics is not None:
        raise InvalidInput("--prometheus and --metrics cannot be used together", hint="use one of them")
    if form == "sarif":
        raise InvalidInput("--prometheus and --metrics have no SARIF output", hint="use text, json or github")

    scraped = scraped_metrics(loaded.catalog)

    async def look(url: str) -> LiveSeries:
        async with PrometheusClient(url, TIMEOUT_S) as client:
            return await fetch_series(client, loaded.catalog, scraped)

    exposed = None
    if prometheus is not None:
        live = asyncio.run(look(prometheus))
        reality = compare(loaded.catalog, scraped, plan, live.series, live.values, one_target=False, churn=live.churn)
    else:
        exposed = read_target(metrics or "-", scraped)
        reality = compare(loaded.catalog, scraped, plan, exposed.series, exposed.values, one_target=True)
    _print(reality, exposed, form, every_row)
    if exposed is not None:
        tell_notes(exposed, form)
        refuse_malformed(exposed)
    if not reality.explained:
        hint = "add it to the catalog, or remove it where the metric is counted"
        if any(line.dropped for line in reality.lines):
            hint += "; what the catalog drops goes once Prometheus has loaded the generated prometheus.yml"
        raise CheckFailed("; ".join(_verdict(reality)), hint=hint)


def _print(reality: Reality, exposed: Exposed | None, form: str, every_row: bool) -> None:

    if form == "json":
        print_json(_as_json(reality, exposed))
    elif form == "github":
        for sentence in _verdict(reality):
            typer.echo(github_annotation("error", sentence, title="budget/reality"))
    else:
        _print_table(reality, every_row)


def _print_table(reality: Reality, every_row: bool) -> None:
    over = reality.total > reality.budget
    columns: tuple[Column[Compared], ...] = (
        Column("metric", lambda line: line.name, "all"),
        Column("now", lambda line: f"{line.series:,}", f"{reality.total:,}", right=True),
        Column("planned", lambda line: _number(line.planned), right=True),
        Column("budget", lambda line: _number(line.budget), f"{reality.budget:,}", right=True),
        Column("", _remark, "over" if over else ""),
    )
    bad: Callable[[Compared], bool] = lambda line: line.over_budget or line.unexplained > 0  # noqa: E731
    print_table(columns, reality.lines, bad, over, every_row=every_row)
    console = output_console()
    if reality.dropped:
        console.print(_dropped(reality), markup=False)
    for text in _strangers(reality, None if every_row else SHOWN_ROWS):
        console.print(text, style="red", markup=False)
    churn = reality.churn
    if churn is not None:
        new = "unknown, no data from an hour ago" if churn.created is None else f"{churn.created:,}"
        console.print(f"{churn.alive:,} scraped series are alive; created in the last hour: {new}", markup=False)


def _dropped(reality: Reality) -> str:
    names = sorted(reality.dropped, key=lambda name: (-reality.dropped[name], name))
    more = f" and {len(names) - _METRICS_SHOWN} more" if len(names) > _METRICS_SHOWN else ""
    series = sum(reality.dropped.values())
    return f"{series:,} more series are dropped at the scrape: {', '.join(names[:_METRICS_SHOWN])}{more}"


def _strangers(reality: Reality, shown: int | None) -> Iterable[str]:
    for stranger in reality.strangers[:shown]:
        more = f" and {len(stranger.metrics) - _METRICS_SHOWN} more" if len(stranger.metrics) > _METRICS_SHOWN else ""
        metrics = ", ".join(stranger.metrics[:_METRICS_SHOWN]) + more
        yield f"✗ {stranger.label} {stranger.value!r} is not in the catalog: {stranger.series:,} series of {metrics}"
    if shown is not None and len(reality.strangers) > shown:
        yield f"✗ and {len(reality.strangers) - shown:,} more values that are not in the catalog, --all"


def _verdict(reality: Reality) -> Iterable[str]:
    for line in reality.lines:
        if line.over_budget:
            yield f"{line.name}: {line.series * line.instances:,} series of {line.budget:,}"
    if reality.total > reality.budget:
        yield f"all: {reality.total:,} series of {reality.budget:,}"
    for line in reality.lines:
        if line.dropped:
            yield f"{line.name}: {line.series:,} series, though the catalog drops it at the scrape"
        elif line.unexplained:
            yield f"{line.name}: {line.unexplained:,} series more than the catalog allows"
    if reality.strangers:
        names = ", ".join(f"{stranger.label} {stranger.value!r}" for stranger in reality.strangers[:3])
        more = f" and {len(reality.strangers) - 3:,} more" if len(reality.strangers) > 3 else ""
        yield f"not in the catalog: {names}{more}"


def _remark(line: Compared) -> str:
    if line.planned is None:
        return "planned under another version's name" if line.other_version else "not in the plan"
    if line.dropped:
        return "dropped by the catalog, and still there"
    parts = ["over its budget"] if line.over_budget else []
    parts += [f"{line.unexplained:,} more than the catalog allows"] if line.unexplained else []
    return ", ".join(parts)


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _as_json(reality: Reality, exposed: Exposed | None) -> dict[str, Any]:
    churn = reality.churn
    return {
        "explained": reality.explained,
        "series": reality.total,
        "budget": reality.budget,
        "metrics": [
            {
                "metric": line.name,
                "series": line.series,
                "planned": line.planned,
                "budget": line.budget,
                "over_budget": line.over_budget,
                "unexplained": line.unexplained,
                "dropped": line.dropped,
                "other_version": line.other_version,
            }
            for line in reality.lines
        ],
        "strangers": [
            {
                "label": stranger.label,
                "value": stranger.value,
                "series": stranger.series,
                "metrics": list(stranger.metrics),
            }
            for stranger in reality.strangers
        ],
        "churn": None if churn is None else {"alive": churn.alive, "created_in_an_hour": churn.created},
        "dropped": dict(reality.dropped),
        "malformed_lines": 0 if exposed is None else exposed.wrong,
        "refused_lines": {} if exposed is None else {server.name: exposed.refused[server.name] for server in SERVERS},
    }

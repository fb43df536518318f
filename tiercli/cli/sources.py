"""`tiercli sources`: the source bindings, what each covers, what each source of a catalog provides, and what they leave unbound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from tiercli.catalog.loading import load_catalog
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import TextOrJson
from tiercli.cli.terminal import output_console, plain_table, print_json
from tiercli.conventions import GATEWAY_JOB, SERVERS_JOB, source_job
from tiercli.errors import Location
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.signals.bindings import Binding, binding_names, bound_expressions, known_binding, load_binding
from tiercli.signals.recorded import RECORDED
from tiercli.signals.sources import catalog_sources
from tiercli.signals.timing import Timing


@examples(
    "tiercli sources",
    "tiercli sources --catalog my.yaml --format json | jq '.alarms_left_out'",
)
def list_sources(
    catalog: Annotated[
        Path | None,
        typer.Option(
            "--catalog",
            metavar="FILE",
            help="Show which of this catalog's sources provides which signal, and what none does.",
        ),
    ] = None,
    form: TextOrJson = "text",
) -> None:
    """List each source with its kind and how many of its kind's signals it provides, or who provides which
    signal in a catalog, and the signals that it does not get.

    Its binding was held against the versions that are named: by a scrape of a running one, by the code that registers the metrics
    (its registry), or by a document."""
    if catalog is not None:
        _of_catalog(catalog, form)
        return

    entries = [_entry(known_binding(name)) for name in binding_names()]
    if form == "json":
        print_json({"sources": entries})
        return
    rows = [
        (
            entry["source"],
            entry["kind"],
            f"{entry['covered']}/{entry['of']}",
            ", ".join(f"{one['version']} ({one['by']})" for one in entry["held_against"]),
            entry["description"],
        )
        for entry in entries
    ]
    _print_table(("source", "kind", "signals", "held against", "description"), rows)


@examples("tiercli sources show tgi")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Source, one of `tiercli sources`.", show_default=False)],
    form: TextOrJson = "text",
) -> None:
    """Show each canonical signal of a source's kind: the PromQL that gives it, or why the source does not
    provide it."""

    binding = load_binding(name, Location("NAME"))
    job = {"gateway": GATEWAY_JOB, "servers": SERVERS_JOB}.get(binding.kind, source_job(name))
    expressions = bound_expressions(binding, Timing(), job)
    names = sorted({*_canonical(binding), *expressions, *binding.unavailable})
    why = {
        signal: binding.unavailable.get(signal, f"{name} does not have it")
        for signal in names
        if signal not in expressions
    }
    if form == "json":
        signals = [
            {"signal": signal, "promql": expressions.get(signal), "unavailable": why.get(signal)} for signal in names
        ]
        print_json({**_entry(binding), "signals": signals})
        return
    console = output_console()
    console.print(f"{name}: {binding.description}", markup=False, highlight=False)
    for held in binding.held_against:
        where = f": {held.where}" if held.where is not None else ""
        console.print(
            f"held against {held.version} by a {held.by}{where}", markup=False, highlight=False, soft_wrap=True
        )
    for signal in names:
        console.print(signal, style="bold" if signal in expressions else "yellow", markup=False, highlight=False)
        text = expressions[signal] if signal in expressions else f"not there: {why[signal]}"
        console.print(f"  {text}", markup=False, highlight=False, soft_wrap=True)


def _of_catalog(path: Path, output: str) -> None:

    loaded = load_catalog(path)
    alarms = load_alarm_set(loaded, timing_of(loaded.catalog))
    unbound, left_out = dict(sorted(alarms.canonical.unbound.items())), alarms.left_out
    used = catalog_sources(loaded)
    given = {source.name: sorted(source.signals - set(unbound)) for source in used}
    if output == "json":
        print_json(
            {
                "sources": [
                    {
                        "name": source.name,
                        "binding": source.binding.source,
                        "job": source.job,
                        "signals": given[source.name],
                    }
                    for source in used
                ],
                "unbound": unbound,
                "alarms_left_out": left_out,
            }
        )
        return
    _print_table(
        ("source", "binding", "job", "signals"),
        [(source.name, source.binding.source, source.job, str(len(given[source.name]))) for source in used],
    )
    console = output_console()
    givers: dict[str, str] = {}
    for signal, name in sorted((signal, name) for name, signals in given.items() for signal in signals):
        givers[signal] = f"{givers[signal]}, {name}" if signal in givers else name
    because = {alarm: ", ".join(missing) for alarm, missing in left_out.items()}
    for title, lines, column in (
        ("provided", givers, "source"),
        ("unbound", unbound, "why"),
        ("alarms left out", because, "why"),
    ):
        console.print(f"\n{title}: {len(lines) or 'none'}", style="bold", highlight=False)
        if lines:
            _print_table(("name", column), list(lines.items()))


def _canonical(binding: Binding) -> set[str]:

    return {series.name for series in RECORDED if series.bound_to == binding.kind}


def _entry(binding: Binding) -> dict[str, Any]:
    canonical = _canonical(binding)
    covered = len(canonical & set(binding.signals))
    head = {"source": binding.source, "kind": binding.kind, "description": binding.description}
    held = [one.model_dump() for one in binding.held_against]
    return {**head, "covered": covered, "of": len(canonical), "held_against": held}


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:

    table = plain_table(*columns)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    output_console().print(table)

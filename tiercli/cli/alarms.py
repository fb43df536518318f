"""`tiercli alarms`: what wakes whom, and what they should do about it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.catalog.model import Catalog
from tiercli.catalog.names import unknown_name
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import CatalogFile, Templates, TextOrJson
from tiercli.cli.terminal import output_console, print_json
from tiercli.drills.spec.files import drill_files, load_drill
from tiercli.errors import InvalidInput, Location
from tiercli.lint.catalog_checks import further_checks
from tiercli.rules.alarm import Alarm
from tiercli.rules.alarm_files import AlarmSet, load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.rules.receivers import receiver_in_words, receivers_of
from tiercli.rules.runbooks import render_runbook
from tiercli.rules.thresholds import limits_of, overrides_of

_STYLE = {"page": "bold red", "notify": "yellow", "trend": "blue", "heartbeat": "dim"}


@examples(
    "tiercli alarms list catalogs/hybrid.yaml",
    "tiercli alarms list my.yaml --severity page --format json",
    "tiercli alarms show ProviderDown catalogs/hybrid.yaml      (its runbook)",
)
def list_alarms(
    catalog: CatalogFile,
    severity: Annotated[
        Literal["page", "notify", "trend", "heartbeat"] | None, typer.Option(help="Only alarms of this severity.")
    ] = None,
    templates: Templates = None,
    form: TextOrJson = "text",
) -> None:
    """List every alarm: condition, thresholds, severity, owner, who is told, action, SLA, panel, and the drills
    that prove it."""

    loaded, alarm_set = _load(catalog, templates)
    drills: dict[str, list[str]] = {}
    for name, path in drill_files().items():
        for alarm_name in load_drill(path)[0].alarms:
            drills.setdefault(alarm_name, []).append(name)
    order = {name: number for number, name in enumerate(_STYLE)}
    alarms = [alarm for alarm in alarm_set.alarms if severity in (None, alarm.severity)]
    alarms.sort(key=lambda alarm: (order[alarm.severity], alarm.alarm))
    entries = [_entry(loaded, alarm, drills.get(alarm.alarm, [])) for alarm in alarms]
    if form == "json":
        left_out = dict(alarm_set.left_out)
        print_json({"alarms": entries, "left_out": left_out})
        return
    console = output_console()
    for entry in entries:
        _print(entry, loaded.catalog)
    console.print(_counts(alarms))
    for name, missing in alarm_set.left_out.items():
        why = "; ".join(f"{series}: {reason}" for series, reason in missing.items())
        console.print(f"left out: {name} ({why})", markup=False)


@examples(
    "tiercli alarms list catalogs/hybrid.yaml",
    "tiercli alarms list my.yaml --severity page --format json",
    "tiercli alarms show ProviderDown catalogs/hybrid.yaml      (its runbook)",
)
def show(
    name: Annotated[str, typer.Argument(metavar="ALARM", help="The alarm's name.", show_default=False)],
    catalog: CatalogFile,
    templates: Templates = None,
) -> None:
    """Print an alarm's runbook, with this catalog's thresholds and owner."""

    loaded, alarm_set = _load(catalog, templates)
    alarms = {alarm.alarm: alarm for alarm in alarm_set.alarms}
    if name not in alarms:
        missing = alarm_set.left_out.get(name)
        if missing is not None:
            why = "; ".join(f"{series} ({reason})" for series, reason in missing.items())
            raise InvalidInput(f"{name} is left out of this catalog: no source has {why}")
        problem = unknown_name("alarm", name, alarms, Location("command line"))
        raise InvalidInput(f"there is no alarm {name!r}", [problem])
    text = render_runbook(loaded.catalog, alarms[name], timing_of(loaded.catalog))
    if sys.stdout.isatty():
        output_console().print(Markdown(text))
    else:
        typer.echo(text, nl=False)


def _load(catalog: Path, templates: list[Path] | None) -> tuple[LoadedCatalog, AlarmSet]:

    folders = templates or ()
    loaded = load_catalog(catalog, further_checks(folders))
    return loaded, load_alarm_set(loaded, timing_of(loaded.catalog), folders)


def _entry(loaded: LoadedCatalog, alarm: Alarm, drills: list[str]) -> dict[str, object]:

    limits = limits_of(loaded.catalog, alarm.alarm, alarm.thresholds)
    return {
        "alarm": alarm.alarm,
        "condition": alarm.condition,
        "severity": alarm.severity,
        "owner": alarm.owner,
        "receivers": list(receivers_of(loaded.catalog, alarm, timing_of(loaded.catalog))),
        "for": alarm.for_,
        "about": list(alarm.identity),
        "thresholds": {
            name: {"value": limits[name], "unit": threshold.unit, "meaning": threshold.meaning}
            for name, threshold in alarm.thresholds.items()
        },
        "overrides": [
            override.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
            for override in overrides_of(loaded.catalog, alarm.alarm)
        ],
        "action": alarm.action,
        "sla": alarm.sla,
        "panel": f"{alarm.panel.dashboard} / {alarm.panel.panel}",
        "fault": alarm.fault,
        "drills": drills,
        "runbook": f"{loaded.catalog.links.runbooks}/{alarm.alarm}",
    }


def _print(entry: dict[str, object], catalog: Catalog) -> None:

    console = output_console()
    head = Text.assemble(
        (f"{entry['alarm']}", "bold"),
        "  ",
        (f"{entry['severity']}", _STYLE[str(entry["severity"])]),
        f"  {entry['owner']}",
    )
    if entry["about"]:
        head.append(f"  by {', '.join(map(str, entry['about']))}", "dim")  # type: ignore[call-overload]
    console.print(head)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True, min_width=9)
    grid.add_column(overflow="fold")
    rows = [("  when", str(entry["condition"]))]
    for name, threshold in entry["thresholds"].items():  # type: ignore[attr-defined]
        rows.append(("  limit", f"{name} {threshold['value']:g} {threshold['unit']}"))
    for override in entry["overrides"]:  # type: ignore[attr-defined]
        whom = ", ".join(f"{key} {value}" for key, value in override.items() if isinstance(value, str))
        limits = ", ".join(f"{key} {value:g}" for key, value in override.get("thresholds", {}).items())
        rows.append(("  other", "; ".join(part for part in (whom, limits) if part)))
    told = ", ".join(receiver_in_words(catalog, name) for name in entry["receivers"])  # type: ignore[attr-defined]
    rows += [
        ("  told", told),
        ("  do", str(entry["action"])),
        ("  SLA", str(entry["sla"])),
        ("  panel", str(entry["panel"])),
    ]
    rows.append(("  proof", ", ".join(map(str, entry["drills"])) or "no drill yet"))  # type: ignore[call-overload]
    for label, text in rows:
        grid.add_row(label, Text(text))
    console.print(grid)


def _counts(alarms: list[Alarm]) -> str:
    counts = {name: sum(alarm.severity == name for alarm in alarms) for name in _STYLE}
    message = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{len(alarms)} alarms: {message}"

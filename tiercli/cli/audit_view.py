"""Answers of the audit log, as people and machines read them."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.measure import Measurement
from rich.text import Text

from tiercli.audit.completeness import MOST, Completeness, Kept
from tiercli.audit.report import FIGURES, Report
from tiercli.cli.terminal import clean, output_console, plain_table, print_json
from tiercli.durations import duration_in_words
from tiercli.money import dollars

# The figures of the table, and what it calls them.
_SHOWN = {
    "calls": "calls",
    "failures": "failed",
    "input_tokens": "tokens in",
    "output_tokens": "out",
    "cost_usd": "cost USD",
    "usd_per_1k_calls": "per 1k calls",
    "unpriced": "without a price",
    "p50_s": "p50",
    "p95_s": "p95",
}


def print_report(answered: Report, output: str) -> None:
    """Print a report as a table, CSV or JSON."""

    if output == "json":
        _print_json(
            {
                "rows": [dict(zip(answered.columns, row, strict=True)) for row in answered.rows],
                "total": answered.total,
                "left_out": answered.left_out,
                "malformed": answered.malformed,
            }
        )
        return
    if output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answered.columns)
        writer.writerows(answered.rows)
        return

    shown = [name for name in _SHOWN if name != "unpriced" or answered.total[name]]
    dimensions = len(answered.columns) - len(FIGURES)
    figures_shown = [_SHOWN[name] for name in shown]
    table = plain_table(*answered.columns[:dimensions], *figures_shown, right=figures_shown, no_wrap=True)
    for row in answered.rows:
        figures = dict(zip(answered.columns, row, strict=True))
        table.add_row(*(Text(_printable(value)) for value in row[:dimensions]), *_cells(figures, shown))
    if answered.left_out:
        table.add_row(Text(f"… {answered.left_out:,} more"), style="dim")
    first = [Text("all" if number == 0 else "") for number in range(dimensions)]
    table.add_row(*first, *_cells(answered.total, shown), style="bold")
    console = output_console()
    # A column that is cut off says nothing: in a narrow terminal lines wrap instead.
    console.width = max(console.width, Measurement.get(console, console.options.update(width=1000), table).maximum)
    console.print(table, crop=False)


def _cells(figures: Mapping[str, Any], shown: list[str]) -> list[Text]:

    return [Text(_cell(name, figures[name])) for name in shown]


def _printable(value: Any) -> str:
    return "" if value is None else clean(str(value))


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}" if value < 1_000_000 or name == "calls" else f"{value / 1e6:,.1f}M"
    return dollars(value) if "usd" in name else f"{value:.2f} s"


def _print_json(content: dict[str, Any]) -> None:

    print_json(content)


def print_check(
    verdict: Completeness | None,
    kept: list[Kept],
    oldest: float | None,
    compared: tuple[float, float],
    zone: str,
    output: str,
) -> None:
    """Print whether the log is complete from `compared[0]` to `compared[1]` and how long it is kept, as lines or JSON."""
    if output == "json":
        _print_json(
            {
                "since": compared[0],
                "until": compared[1],
                "completeness": None
                if verdict is None
                else {
                    "records": verdict.records,
                    "counted_calls": verdict.counted,
                    "share": verdict.share,
                    "at_least": verdict.at_least,
                    "complete": verdict.complete,
                    "excessive": verdict.excessive,
                    "unknown_s": verdict.unknown_s,
                    "gaps": [
                        {"since": gap.since, "until": gap.until, "counted_calls": gap.counted, "records": gap.records}
                        for gap in verdict.gaps
                    ],
                },
                "oldest": oldest,
                "retention": [
                    {
                        "purpose": retention.purpose,
                        "demanded_s": retention.demanded_s,
                        "kept_s": retention.kept_s,
                        "holds": retention.holds,
                    }
                    for retention in kept
                ],
            }
        )
        return
    for good, line in _check_lines(verdict, kept, oldest, compared, zone):
        mark, style = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("·", "dim")}[good]
        output_console().print(f"{mark} {line}", style=style, markup=False)


def _check_lines(
    verdict: Completeness | None, kept: list[Kept], oldest: float | None, compared: tuple[float, float], zone: str
) -> Iterator[tuple[bool | None, str]]:

    def at(moment: float) -> str:

        return datetime.fromtimestamp(moment, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")

    if verdict is None:
        yield None, "completeness is not judged: no --prometheus was named"
    else:
        between = f"{at(compared[0])} to {at(compared[1])}"
        if verdict.share is None:
            yield (True if not verdict.unknown_s else None), f"no call was counted, {between}"
        else:
            yield (
                verdict.complete and not verdict.excessive,
                f"{verdict.records:,} records of {verdict.counted:,.0f} counted calls: {verdict.share:.2%}, {between}",
            )
        if verdict.excessive:
            yield (
                False,
                f"more than {MOST:.1%}: records were written twice, files were named twice, or calls are not counted",
            )
        for gap in verdict.gaps:
            yield False, f"gap {at(gap.since)} to {at(gap.until)}: {gap.records:,} records of {gap.counted:,.0f} calls"
        if verdict.unknown_s:
            yield None, f"prometheus has no count for {duration_in_words(verdict.unknown_s)} of it"
    yield None, "there is no record" if oldest is None else f"the oldest record is of {at(oldest)}"
    for retention in kept:
        kept_for = duration_in_words(retention.kept_s // 3600 * 3600 or retention.kept_s)
        yield retention.holds, f"{retention.purpose}: kept for {kept_for} of {duration_in_words(retention.demanded_s)}"
    if not kept:
        yield None, "the catalog demands no retention (audit.retention)"

"""A table panel's columns and rows: its queries' frames, and the transformations that Grafana would apply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiercli.dashboards.read.board import BoardPanel, Properties, Target
from tiercli.dashboards.read.fields import look_of, worst
from tiercli.dashboards.read.reading_model import Cell, Line, Row
from tiercli.dashboards.read.series_names import series_name

Value = float | str | None
Record = dict[str, Value]
VALUE = "Value"


def table_rows(
    panel: BoardPanel, lines: Sequence[tuple[Target, Line]]
) -> tuple[tuple[str, ...], tuple[Row, ...], tuple[str, ...]]:
    """The names of the columns, the rows in the order that the panel sorts them, and what could not be applied."""
    records = [_record(target, line, many=len(panel.targets) > 1) for target, line in lines]
    labels = [dict(line.labels) for _, line in lines]
    refs = {f"{VALUE} #{target.ref}": target.ref for target in panel.targets}
    notes: list[str] = []
    merged = any(name in ("merge", "joinByField", "joinByLabels") for name, _ in panel.transformations)
    if merged:
        records, labels = _merged(records, labels)
    columns = list(dict.fromkeys(key for record in records for key in record))
    columns.sort(key=lambda name: name.startswith(VALUE))
    for name, options in panel.transformations:
        if name == "organize":
            columns, records, refs = _organized(columns, records, refs, options)
        elif name == "limit":
            records = records[: int(options.get("limitField") or 10)]
        elif name == "sortBy":
            for sort in reversed(options.get("sort") or ()):
                records, labels = _sorted(records, labels, str(sort.get("field")), bool(sort.get("desc")))
        elif name not in ("merge", "joinByField", "joinByLabels"):
            notes.append(f"without the transformation {name}")
    for sort in reversed(panel.options.get("sortBy") or ()):
        records, labels = _sorted(records, labels, str(sort.get("displayName")), bool(sort.get("desc")))
    rows = tuple(_row(panel, columns, record, label, refs) for record, label in zip(records, labels, strict=False))
    return tuple(columns), rows, tuple(notes)


def _record(target: Target, line: Line, *, many: bool) -> Record:
    last = line.points[-1][1] if line.points else None
    value = f"{VALUE} #{target.ref}" if many else VALUE
    if not target.table:
        return {"Field": series_name(target.legend, line.labels), value: last}
    return {**line.labels, value: last}


def _merged(records: Sequence[Record], labels: Sequence[dict[str, str]]) -> tuple[list[Record], list[dict[str, str]]]:
    """Rows of the same labels become one."""
    merged: dict[tuple[tuple[str, Value], ...], tuple[Record, dict[str, str]]] = {}
    for record, label in zip(records, labels, strict=True):
        own = {key: value for key, value in record.items() if not key.startswith(VALUE) and key != "__name__"}
        at = tuple(sorted(own.items()))
        into = merged.setdefault(at, (dict(own), {key: value for key, value in label.items() if key != "__name__"}))
        into[0].update({key: value for key, value in record.items() if key.startswith(VALUE)})
    return [record for record, _ in merged.values()], [label for _, label in merged.values()]


def _organized(
    columns: Sequence[str], records: Sequence[Record], refs: Mapping[str, str], options: Properties
) -> tuple[list[str], list[Record], dict[str, str]]:
    left_out = {name for name, out in (options.get("excludeByName") or {}).items() if out}
    only = {name for name, wanted in (options.get("includeByName") or {}).items() if wanted}
    order: Mapping[str, int] = options.get("indexByName") or {}
    names: Mapping[str, str] = options.get("renameByName") or {}
    kept = [name for name in columns if name not in left_out and (not only or name in only)]
    kept.sort(key=lambda name: order.get(name, len(order)))
    renamed = {name: names.get(name) or name for name in kept}
    return (
        list(renamed.values()),
        [{renamed[name]: value for name, value in record.items() if name in renamed} for record in records],
        {renamed.get(name, name): ref for name, ref in refs.items()},
    )


def _sorted(
    records: Sequence[Record], labels: Sequence[dict[str, str]], column: str, descending: bool
) -> tuple[list[Record], list[dict[str, str]]]:
    """Rows without a value in the column stand last, however it is sorted."""

    def key(at: int) -> tuple[Any, ...]:
        value = records[at].get(column)
        return (isinstance(value, str), value)

    holding = [at for at in range(len(records)) if records[at].get(column) is not None]
    order = sorted(holding, key=key, reverse=descending)
    order += [at for at in range(len(records)) if records[at].get(column) is None]
    return [records[at] for at in order], [labels[at] for at in order]


def _row(
    panel: BoardPanel, columns: Sequence[str], record: Record, labels: Mapping[str, str], refs: Mapping[str, str]
) -> Row:
    cells = []
    for column in columns:
        value = record.get(column)
        look = look_of(panel, column, refs.get(column, ""), number=not isinstance(value, str))
        if value is None:
            cells.append(Cell(""))
            continue
        shown = look.show(value)
        cells.append(Cell(shown.text, None if isinstance(value, str) else value, shown.state))
    numbers = [cell for cell in cells if cell.value is not None]
    words = [cell.text for cell in cells if cell.value is None and cell.text]
    first = numbers[0] if numbers else None
    return Row(
        name=" / ".join(words),
        labels=labels,
        now=None if first is None else first.value,
        text="" if first is None else first.text,
        state=worst([cell.state for cell in cells]),
        cells=tuple(cells),
    )

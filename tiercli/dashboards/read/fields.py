"""How a panel shows one field: unit, text and colour of its values, from its defaults and the overrides that match."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tiercli.dashboards.read.board import BoardPanel, Override
from tiercli.dashboards.read.units import format_value


class State(StrEnum):
    """What a panel's colours say of a value; NONE where nothing judges it."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Shown:
    """A value as the panel shows it."""

    text: str
    state: State


@dataclass(frozen=True, slots=True)
class Look:
    """How one field is shown. `steps`: lower bounds (None: of all) and colours, ascending, absolute or in percent.
    `steps_drawn`: a time series draws them."""

    unit: str
    decimals: int | None
    no_value: str
    steps: tuple[tuple[float | None, str], ...]
    percentage: bool
    mappings: tuple[Mapping[str, Any], ...]
    minimum: float | None
    maximum: float | None
    fixed_color: str
    dashed: bool
    steps_drawn: bool

    def show(self, value: float | str | None, low: float = 0.0, high: float = 1.0) -> Shown:
        """A value's text and state; `low` and `high` bound what is shown, for thresholds in percent."""
        if value is None:
            return Shown(self.no_value, State.NONE)
        mapped = self._mapped(value)
        text = mapped.get("text") or (
            value if isinstance(value, str) else format_value(value, self.unit, self.decimals)
        )
        if mapped.get("color"):
            return Shown(str(text), state_of_color(str(mapped["color"])))
        return Shown(str(text), State.NONE if isinstance(value, str) else self._judged(value, low, high))

    def _judged(self, value: float, low: float, high: float) -> State:
        if len(self.steps) < 2 or math.isnan(value):
            return State.NONE
        if self.percentage:
            low = low if self.minimum is None else self.minimum
            high = high if self.maximum is None else self.maximum
            value = 100 * (value - low) / (high - low) if high > low else 0.0
        color = self.steps[0][1]
        for bound, step_color in self.steps:
            if bound is not None and value >= bound:
                color = step_color
        return state_of_color(color)

    def _mapped(self, value: float | str) -> Mapping[str, Any]:
        for mapping in self.mappings:
            options = mapping.get("options") or {}
            result: Any = None
            if mapping.get("type") == "value":
                result = options.get(value if isinstance(value, str) else f"{value:.15g}")
            elif mapping.get("type") == "range" and not isinstance(value, str):
                low, high = options.get("from"), options.get("to")
                if (low is None or value >= low) and (high is None or value <= high):
                    result = options.get("result")
            elif mapping.get("type") == "regex" and isinstance(value, str):
                result = options.get("result") if _matches(str(options.get("pattern", "")), value) else None
            elif mapping.get("type") == "special" and not isinstance(value, str) and math.isnan(value):
                result = options.get("result") if options.get("match") in ("nan", "null+nan") else None
            if result:
                return dict(result)
        return {}


def look_of(panel: BoardPanel, name: str, ref: str = "", *, number: bool = True) -> Look:
    """How `panel` shows the field `name` of its query `ref`."""
    merged: dict[str, Any] = dict(panel.defaults)
    custom = dict(merged.get("custom") or {})
    for override in panel.overrides:
        if _picks(override, name, ref, number):
            for key, value in override.properties.items():
                if key.startswith("custom."):
                    custom[key.removeprefix("custom.")] = value
                else:
                    merged[key] = value
    thresholds = merged.get("thresholds") or {}
    color = merged.get("color") or {}
    decimals = merged.get("decimals")
    return Look(
        unit=str(merged.get("unit") or ""),
        decimals=None if decimals is None else int(decimals),
        no_value=str(merged.get("noValue") or "no data"),
        steps=_steps(thresholds.get("steps") or ()),
        percentage=thresholds.get("mode") == "percentage",
        mappings=tuple(merged.get("mappings") or ()),
        minimum=_number(merged.get("min")),
        maximum=_number(merged.get("max")),
        fixed_color=str(color.get("fixedColor") or "") if color.get("mode") == "fixed" else "",
        dashed=(custom.get("lineStyle") or {}).get("fill") == "dash",
        steps_drawn=(custom.get("thresholdsStyle") or {}).get("mode", "off") != "off",
    )


def state_of_color(color: str) -> State:
    """Grafana's palette as states: green is ok, yellow and orange warn, red is bad; other colours judge nothing."""
    name = color.lower()
    for sign, state in (("green", State.OK), ("yellow", State.WARN), ("orange", State.WARN), ("red", State.BAD)):
        if name == sign or name.endswith(f"-{sign}"):
            return state
    return State.NONE


def worst(states: Sequence[State]) -> State:
    """The state that matters most of some."""
    order = (State.BAD, State.WARN, State.OK, State.NONE)
    return min(states, key=order.index, default=State.NONE)


def _picks(override: Override, name: str, ref: str, number: bool) -> bool:
    options = override.options
    if override.matcher == "byName":
        return bool(options == name)
    if override.matcher == "byNames":
        return name in ((options or {}).get("names") or ())
    if override.matcher == "byRegexp":
        return _matches(str(options), name)
    if override.matcher == "byFrameRefID":
        return bool(options == ref)
    return override.matcher == "byType" and bool(options == ("number" if number else "string"))


def _matches(pattern: str, text: str) -> bool:
    """A JavaScript regular expression, with or without its slashes; one that Python cannot read matches nothing."""
    flags = 0
    if pattern.startswith("/") and "/" in pattern[1:]:
        pattern, _, letters = pattern[1:].rpartition("/")
        flags = re.IGNORECASE if "i" in letters else 0
    try:
        return re.search(pattern, text, flags) is not None
    except re.error:
        return False


def _steps(steps: Sequence[Mapping[str, Any]]) -> tuple[tuple[float | None, str], ...]:
    return tuple((_number(step.get("value")), str(step.get("color") or "")) for step in steps)


def _number(value: Any) -> float | None:
    return None if value is None or value == "" else float(value)

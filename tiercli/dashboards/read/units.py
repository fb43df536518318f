"""A number in a Grafana unit, written as Grafana writes it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

_SHORT = ("", " K", " Mil", " Bil", " Tri", " Quadr", " Quint", " Sext", " Sept")
_COUNT = ("", "K", "M", "B", "T")
_IEC = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SI = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")
_SI_BELOW = ("", "m", "µ", "n", "p", "f")

# Grafana's id of a unit: the sign behind the number.
_SUFFIXES = {
    "percent": "%",
    "celsius": " °C",
    "fahrenheit": " °F",
    "kelvin": " K",
    "humidity": " %H",
    "none": "",
    "": "",
    "string": "",
}
_COUNTED = {
    "reqps": "req/s",
    "rps": "rd/s",
    "wps": "wr/s",
    "ops": "ops/s",
    "iops": "io/s",
    "cps": "c/s",
    "eps": "evt/s",
    "mps": "msg/s",
    "recps": "rec/s",
    "rowsps": "rows/s",
    "reqpm": "req/m",
    "opm": "ops/m",
    "cpm": "c/m",
    "rpm": "rd/m",
}
_BINARY = {"bytes": "B", "bits": "b", "binBps": "B/s", "binbps": "b/s"}
_DECIMAL = {
    "decbytes": "B",
    "decbits": "b",
    "Bps": "B/s",
    "bps": "b/s",
    "watt": "W",
    "joule": "J",
    "watth": "Wh",
    "volt": "V",
    "amp": "A",
    "hertz": "Hz",
    "sishort": "",
}
_CURRENCIES = {"currencyUSD": "$", "currencyEUR": "€", "currencyGBP": "£", "currencyINR": "₹", "currencyJPY": "¥"}
_SECONDS: Mapping[str, float] = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}
_TIMES = (
    (31_536_000.0, " years"),
    (604_800.0, " weeks"),
    (86_400.0, " days"),
    (3600.0, " hours"),
    (60.0, " mins"),
    (1.0, " s"),
    (1e-3, " ms"),
    (1e-6, " µs"),
    (1e-9, " ns"),
)


def format_value(value: float, unit: str, decimals: int | None = None) -> str:
    """`value` in Grafana's `unit` ("s", "percentunit", "currencyUSD", …); `decimals` None: three digits that count."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if unit == "percentunit":
        return f"{_fixed(value * 100, decimals)}%"
    if unit == "short":
        return _scaled(value, decimals, 1000, _SHORT)
    if unit in _SECONDS:
        return _time(value * _SECONDS[unit], decimals)
    if unit in _CURRENCIES:
        sign = "-" if value < 0 else ""
        return f"{sign}{_CURRENCIES[unit]}{_scaled(abs(value), decimals, 1000, _COUNT)}"
    if unit in _COUNTED:
        return f"{_scaled(value, decimals, 1000, _COUNT)} {_COUNTED[unit]}"
    if unit in _BINARY:
        return _scaled(value, decimals, 1024, [f" {prefix}{_BINARY[unit]}" for prefix in _IEC])
    if unit in _DECIMAL:
        sign = _DECIMAL[unit]
        return _scaled(
            value, decimals, 1000, [f" {prefix}{sign}" for prefix in _SI], [f" {prefix}{sign}" for prefix in _SI_BELOW]
        ).rstrip()
    if unit.startswith("prefix:"):
        return unit.removeprefix("prefix:") + _fixed(value, decimals)
    if unit in ("bool", "bool_on_off", "bool_yes_no"):
        return {"bool": ("False", "True"), "bool_on_off": ("Off", "On")}.get(unit, ("No", "Yes"))[value != 0]
    return f"{_fixed(value, decimals)}{_suffix(unit)}"


def _suffix(unit: str) -> str:
    """Of a unit that Grafana does not know it shows the name itself; `suffix:x` asks for just that."""
    if unit in _SUFFIXES:
        return _SUFFIXES[unit]
    return f" {unit.removeprefix('suffix:')}"


def _time(seconds: float, decimals: int | None) -> str:
    if seconds == 0:
        return f"{_fixed(0, decimals)} s"
    size, sign = next(((size, sign) for size, sign in _TIMES if abs(seconds) >= size), _TIMES[-1])
    return _fixed(seconds / size, decimals) + sign


def _scaled(value: float, decimals: int | None, factor: int, signs: Sequence[str], below: Sequence[str] = ()) -> str:
    power = 0
    while abs(value) >= factor and power < len(signs) - 1:
        value /= factor
        power += 1
    if power == 0 and value != 0 and below:
        while abs(value) < 1 and power < len(below) - 1:
            value *= factor
            power += 1
        return _fixed(value, decimals) + below[power]
    return _fixed(value, decimals) + signs[power]


def _fixed(value: float, decimals: int | None) -> str:
    if decimals is None:
        if 0 < abs(value) < 1e-6:
            return f"{value:.2g}"
        whole = value == 0 or value % 1 == 0
        decimals = 0 if whole else max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(decimals, 15)}f}"
    return text.lstrip("-") if float(text) == 0 else text

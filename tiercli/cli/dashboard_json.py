"""A dashboard's reading as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from tiercli.dashboards.read.reading_model import BoardReading


def encode_reading(reading: BoardReading) -> str:
    """One JSON object: the board, its panels with their states, their rows. Times are Unix seconds; NaN and infinities
    are the strings "NaN", "+Inf" and "-Inf", as in Prometheus' own API."""
    data = asdict(reading) | {"state": reading.state}
    for panel, message in zip(data["panels"], reading.panels, strict=True):
        panel["state"] = message.state
    return json.dumps(_sound(data), indent=2, ensure_ascii=False) + "\n"


def _sound(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if isinstance(value, dict):
        return {key: _sound(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sound(item) for item in value]
    return value

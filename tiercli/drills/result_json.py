"""result.json: a verdict for machines."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from tiercli.drills.result import Result

RESULT_VERSION = 1


def encode_result(result: Result) -> str:
    """JSON text of a result. Times are Unix seconds, durations real seconds."""
    data: dict[str, Any] = {"version": RESULT_VERSION, **dataclasses.asdict(result)}
    for given, expectation in zip(result.expectations, data["expectations"], strict=True):
        expectation["detection"]["above_floor_s"] = given.detection.above_floor_s
    return json.dumps(_rounded(data), indent=2, ensure_ascii=False) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(one) for one in value]
    return value

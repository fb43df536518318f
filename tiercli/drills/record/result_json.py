"""result.json: a verdict for machines, and read again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tiercli.drills.record.result import Result
from tiercli.errors import InvalidInput, Location, Problem

RESULT_VERSION = 1


def encode_result(result: Result) -> str:
    """JSON text of a result. Times are Unix seconds, durations real seconds."""
    data: dict[str, Any] = {"version": RESULT_VERSION, **dataclasses.asdict(result)}
    for given, expectation in zip(result.expectations, data["expectations"], strict=True):
        expectation["detection"]["above_floor_s"] = given.detection.above_floor_s
    return json.dumps(_rounded(data), indent=2, ensure_ascii=False) + "\n"


def read_result(path: Path) -> Result:
    """The result of a run's result.json. Raises InvalidInput where it cannot be read, or is something else."""
    try:
        return TypeAdapter(Result).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        said = error.strerror if isinstance(error, OSError) else "no result of a drill"
        problem = Problem(Location(str(path)), str(said), f"the {path.name} of a run's folder")
        raise InvalidInput(f"{path} cannot be read", [problem]) from error


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(one) for one in value]
    return value

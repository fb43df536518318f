"""The results of runs on disk: result.json written and read, the runs that a folder keeps, the last run of each drill."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tiercli.drills.record.result import Result
from tiercli.drills.record.run_folder import RESULT
from tiercli.errors import InvalidInput, Location, Problem

RESULT_VERSION = 1
_RESULT = TypeAdapter(Result)


@dataclass(frozen=True, slots=True)
class Record:
    """A run: its folder and what it concluded."""

    folder: Path
    result: Result


def read_records(place: Path) -> list[Record]:
    """The runs below `place`, or the one that it is, the oldest first. Raises InvalidInput where there is none."""
    files = [place / RESULT] if (place / RESULT).is_file() else sorted(place.glob(f"*/{RESULT}"))
    if not files:
        problem = Problem(Location(str(place)), f"no {RESULT} in it or below it", "a run's folder, or a folder of runs")
        raise InvalidInput(f"{place} holds no run", [problem])
    records = [Record(file.parent, read_result(file)) for file in files]
    return sorted(records, key=lambda record: record.result.started_at)


def last_of_each(records: list[Record]) -> dict[str, Record]:
    """The last run of each drill, by the drill's name."""
    return {record.result.drill: record for record in records}


def encode_result(result: Result) -> str:
    """JSON text of a result. Times are Unix seconds, durations real seconds."""
    data: dict[str, Any] = {"version": RESULT_VERSION, **_RESULT.dump_python(result, mode="json", by_alias=True)}
    for expectation, written in zip(result.expectations, data["expectations"], strict=True):
        written["detection"]["above_floor_s"] = expectation.detection.above_floor_s
    return json.dumps(_rounded(data), indent=2, ensure_ascii=False) + "\n"


def read_result(path: Path) -> Result:
    """The result of a run's result.json. Raises InvalidInput where it cannot be read, or is something else."""
    try:
        return _RESULT.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no result of a drill"
        problem = Problem(Location(str(path)), str(reason), f"the {path.name} of a run's folder")
        raise InvalidInput(f"{path} cannot be read", [problem]) from error


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value

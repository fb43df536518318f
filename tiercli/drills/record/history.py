"""The records of runs that a folder keeps, and the last of each drill."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tiercli.drills.record.result import Result
from tiercli.drills.record.result_json import read_result
from tiercli.drills.record.run_folder import RESULT
from tiercli.errors import InvalidInput, Location, Problem


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
    found = [Record(file.parent, read_result(file)) for file in files]
    return sorted(found, key=lambda record: record.result.started_at)


def last_of_each(records: list[Record]) -> dict[str, Record]:
    """The last run of each drill, by the drill's name."""
    return {record.result.drill: record for record in records}

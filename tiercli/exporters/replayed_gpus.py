"""GPU readings from a file instead of a driver: simulated, and named so. One JSON object a line: the readings from `at_s` on.

    {"at_s": 0, "gpus": [{"gpu": "0", "utilization_ratio": 0.4, "memory_used_bytes": 2e10, "memory_total_bytes": 8e10}]}

After the last line it begins again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tiercli.errors import InvalidInput, Location, Problem
from tiercli.exporters.gpu_exporter import METRICS, GpuReading, GpuSample

_PREFIX = "tiercli_gpu_"
_PLAIN = {metric.name.removeprefix(_PREFIX): metric.name for metric in METRICS if not metric.labels}
_NAMES = ("gpu", "uuid", "name")


class ReplayedGpus:
    """Readings of a file, replayed from its start. `clock` gives seconds."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises InvalidInput with every line that is not a reading."""
        self._clock = clock
        self._frames = _read_frames(path)
        self._began = clock()

    def read(self) -> GpuReading:
        """The file's readings for now."""
        length = self._frames[-1][0] + (self._frames[-1][0] - self._frames[-2][0] if len(self._frames) > 1 else 1.0)
        at = (self._clock() - self._began) % length
        gpus = [gpus for since, gpus in self._frames if since <= at][-1]
        reading = GpuReading(devices=len(gpus))
        for number, values in enumerate(gpus):
            index = str(values.get("gpu", number))
            gpu = (index, str(values.get("uuid", f"GPU-simulated-{index}")), str(values.get("name", "simulated")))
            reading.samples += [
                GpuSample(_PLAIN[key], gpu, float(value)) for key, value in values.items() if key in _PLAIN
            ]
        return reading

    def close(self) -> None:
        """There is nothing to release."""


def _read_frames(path: Path) -> list[tuple[float, list[dict[str, Any]]]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise InvalidInput("the readings cannot be read", [Problem(Location(str(path)), str(reason))]) from error
    frames: list[tuple[float, list[dict[str, Any]]]] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            wrong = list(_wrong(line, frames))
            problems += [Problem(Location(str(path), number), *problem) for problem in wrong]
            if not wrong:
                frame = json.loads(line)
                frames.append((float(frame["at_s"]), frame["gpus"]))
    if not frames and not problems:
        problems.append(Problem(Location(str(path)), "it has no readings", '{"at_s": 0, "gpus": [{…}]}'))
    if problems:
        raise InvalidInput(f"{path} is not a file of GPU readings", problems)
    return frames


def _wrong(line: str, before: list[tuple[float, Any]]) -> Iterator[tuple[str, str]]:
    """Each problem of a line, and what is accepted."""
    accepted = ", ".join((*_NAMES, *_PLAIN))
    try:
        frame = json.loads(line)
        at, gpus = frame["at_s"], frame["gpus"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        yield f"not a reading: {error}", '{"at_s": 0, "gpus": [{"utilization_ratio": 0.4}]}'
        return
    if not _is_number(at) or at < 0 or (not before and at != 0):
        yield f"at_s is {at!r}", "seconds from the start; 0 in the first line"
    elif before and at <= before[-1][0]:
        yield f"at_s is {at!r}, not after {before[-1][0]:g}", "later than the line before"
    if not isinstance(gpus, list) or not all(isinstance(values, dict) for values in gpus):
        yield "gpus is not a list of objects", accepted
        return
    for values in gpus:
        for key, value in values.items():
            if key not in _NAMES and key not in _PLAIN:
                yield f"unknown reading {key!r}", accepted
            elif key in _PLAIN and not _is_number(value):
                yield f"{key} is {value!r}", "a number"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")

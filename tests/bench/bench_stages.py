"""Time and peak memory of each stage of tiercli, for catalogs/hybrid.yaml and a large estate.

Run it: python -m tests.bench.bench_stages [--json] [--rounds N] [--stages load,generate,…]. Each stage is a
command of its own, run alone; its memory is the larger of its own and its tools' (promtool, amtool), its CPU time the sum.
Exit code 1 where a figure misses what is asked of it. The machine's load is printed with the figures: on a busy one a
command waits for a core, and takes longer than its CPU time says.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from tests.bench.large_estate import FORMS, write_large_estate

ROOT = Path(__file__).resolve().parents[2]
STAGES: dict[str, tuple[str, ...]] = {
    "load": ("catalog", "validate"),
    "budget": ("budget",),
    "generate": ("generate",),
    "lint": ("lint",),
    "rule tests": ("rules", "test"),
}
# (seconds, MB) that a stage of a catalog may take.
LIMITS: dict[tuple[str, str], tuple[float, float | None]] = {
    **{(f"large, {form}", "generate"): (3.0, 400.0) for form in ("csv", "jsonl")},
    **{(f"large, {form}", "lint"): (5.0, None) for form in ("csv", "jsonl")},
    ("large, yaml", "generate"): (8.0, 400.0),
    ("large, yaml", "lint"): (8.0, None),
    ("hybrid", "generate"): (1.0, None),
}
# Much longer than the others: once, and of one of the large catalogs.
_LONG = "rule tests"


@dataclass(frozen=True)
class Figure:
    """What a stage took: the median of `rounds`."""

    catalog: str
    stage: str
    seconds: float | None  # None: there is no such command
    cpu_s: float = 0.0
    megabytes: float = 0.0
    rounds: int = 0
    limit_s: float | None = None
    limit_mb: float | None = None

    @property
    def met(self) -> bool:
        """Whether it is within its limits."""
        late = self.limit_s is not None and (self.seconds or 0) > self.limit_s
        return not late and (self.limit_mb is None or self.megabytes <= self.limit_mb)


class Run(NamedTuple):
    """What one run took."""

    seconds: float
    cpu_s: float
    megabytes: float
    exit_code: int


def run(arguments: tuple[str, ...]) -> Run:
    """Run a tiercli command; 1 and 2 are answers of their own here, anything else ends the bench."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen([sys.executable, "-m", "tiercli", *arguments], cwd=ROOT, stdout=said, stderr=said)
        _, status, used = os.wait4(child.pid, 0)
        took = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in (0, 1, 2):
            said.seek(0)
            raise SystemExit(f"tiercli {' '.join(arguments)} failed:\n{said.read().decode(errors='replace')[-2000:]}")
    return Run(took, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, child.returncode)


def measure(name: str, catalog: Path, stage: str, rounds: int) -> Figure:
    """One stage of one catalog."""
    command = STAGES[stage]
    if run((*command, "--help")).exit_code:
        return Figure(name, stage, None)
    runs = []
    for _ in range(1 if stage == _LONG else rounds):
        with tempfile.TemporaryDirectory() as folder:
            more = ("--out", f"{folder}/out") if stage == "generate" else ()
            runs.append(run((*command, str(catalog), *more)))
        if runs[-1].exit_code:
            raise SystemExit(f"tiercli {' '.join(command)} {catalog}: exit code {runs[-1].exit_code}")
    limits = LIMITS.get((name, stage), (None, None))
    seconds = round(statistics.median(one.seconds for one in runs), 2)
    cpu_s = round(statistics.median(one.cpu_s for one in runs), 2)
    return Figure(name, stage, seconds, cpu_s, round(max(one.megabytes for one in runs)), len(runs), *limits)


def _line(figure: Figure) -> str:
    head = f"{figure.catalog:<14} {figure.stage:<11}"
    if figure.seconds is None:
        return f"{head} not there"
    asked = [] if figure.limit_s is None else [f"{figure.limit_s:g} s"]
    asked += [] if figure.limit_mb is None else [f"{figure.limit_mb:g} MB"]
    wanted = f"   (asked: at most {', '.join(asked)}{'' if figure.met else '; MISSED'})" if asked else ""
    return f"{head} {figure.seconds:8.2f} s {figure.cpu_s:8.2f} s {figure.megabytes:8.0f} MB{wanted}"


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stages", default=",".join(STAGES), help="which, with commas between")
    arguments = parser.parse_args()
    stages = [stage for stage in STAGES if stage in arguments.stages.split(",")]
    load, figures = os.getloadavg()[0], []
    if not arguments.json:
        print(f"{len(os.sched_getaffinity(0))} cores, load average {load:.1f} before; medians, and the peak of memory")
        print(f"{'catalog':<14} {'stage':<11} {'time':>10} {'CPU':>10} {'memory':>11}")
    with tempfile.TemporaryDirectory() as folder:
        catalogs = {"hybrid": ROOT / "catalogs" / "hybrid.yaml"}
        catalogs |= {f"large, {form}": write_large_estate(Path(folder) / form, form) for form in FORMS}
        for stage in stages:
            for name, catalog in list(catalogs.items())[: 2 if stage == _LONG else None]:
                figures.append(measure(name, catalog, stage, arguments.rounds))
                if not arguments.json:
                    print(_line(figures[-1]), flush=True)
    met = all(figure.met for figure in figures)
    if arguments.json:
        print(json.dumps({"load": load, "met": met, "figures": [asdict(figure) for figure in figures]}))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

"""How fast tiercli starts and generates, and how much memory its help takes. Prints JSON; exit 1 where a figure misses."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 10
LIMITS = {"help_s": 0.3, "help_mb": 40.0, "generate_s": 1.0}


def run(*arguments: str) -> float:
    """Seconds that a command takes."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "tiercli", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def peak_mb(*arguments: str) -> float:
    """Peak memory of a command, in a child of its own so that nothing else counts."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "tiercli", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def main() -> int:
    """Measure, print, judge."""
    with tempfile.TemporaryDirectory() as folder:
        generate = ("generate", "catalogs/hybrid.yaml", "--out")
        figures = {
            "help_s": statistics.median(run("--help") for _ in range(ROUNDS)),
            "help_mb": peak_mb("--help"),
            "generate_s": statistics.median(run(*generate, f"{folder}/{number}") for number in range(ROUNDS)),
        }
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    missed = [name for name, limit in LIMITS.items() if figures[name] > limit]
    if missed:
        print(f"missed: {', '.join(missed)} (limits {LIMITS})", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

"""How long each stage takes, and how much memory: for the example, and for a large estate with its tenants in each form."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHILD = (
    "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode; "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
)
# Seconds and MB that each may take; None: not bounded.
LIMITS = {
    ("large csv", "generate"): (3.0, 400.0),
    ("large jsonl", "generate"): (3.0, 400.0),
    ("large yaml", "generate"): (8.0, 400.0),
    ("large csv", "lint"): (5.0, None),
    ("large jsonl", "lint"): (5.0, None),
    ("large yaml", "lint"): (8.0, None),
}


def measure(*arguments: str) -> tuple[float, float]:
    """Seconds and peak MB of a command, in a child of its own so that nothing else counts."""
    began = time.monotonic()
    command = [sys.executable, "-c", CHILD, sys.executable, "-m", "tiercli", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return time.monotonic() - began, int(done.stdout) / 1024


def main() -> int:
    """Measure, print a line a stage, judge."""
    missed, alerts = [], {}
    with tempfile.TemporaryDirectory() as name:
        catalogs = {"hybrid": ROOT / "catalogs" / "hybrid.yaml"}
        for form in ("csv", "jsonl", "yaml"):
            folder = Path(name) / form
            folder.mkdir()
            subprocess.run(
                [sys.executable, ROOT / "tests/bench/large_estate.py", folder, "--tenants", form], check=True
            )
            catalogs[f"large {form}"] = folder / "catalog.yaml"
        for estate, path in catalogs.items():
            out = Path(name) / f"out-{estate.replace(' ', '-')}"
            stages: dict[str, tuple[str, ...]] = {
                "load": ("catalog", "validate", str(path)),
                "generate": ("generate", str(path), "--out", str(out)),
                "lint": ("lint", str(path)),
            }
            if estate in ("hybrid", "large csv"):
                stages["rule tests"] = ("rules", "test", str(path))
            for stage, arguments in stages.items():
                seconds, megabytes = measure(*arguments)
                print(f"{estate:<12} {stage:<11} {seconds:6.2f} s {megabytes:6.0f} MB", flush=True)
                most_s, most_mb = LIMITS.get((estate, stage), (None, None))
                if (most_s is not None and seconds > most_s) or (most_mb is not None and megabytes > most_mb):
                    missed.append(f"{estate} {stage}")
            rules = (out / "prometheus" / "rules" / "tiercli.yml").read_text(encoding="utf-8")
            alerts[estate] = len(re.findall(r"^  - alert:", rules, re.MULTILINE))
    print(json.dumps({"alert_rules": alerts}))
    if missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Whether anything cries wolf: the quiet drill twenty times, each in a sandbox of its own. Prints JSON; exit 1 when one does not pass."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RUNS = 20
AT_ONCE = 2


def run(folder: str, number: int) -> list[dict[str, Any]]:
    """The results of one run; none where tiercli said nothing."""
    command = [sys.executable, "-m", "tiercli", "drill", "run", "quiet", "--format", "json"]
    done = subprocess.run(
        [*command, "--runs", f"{folder}/{number}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if not done.stdout.strip():
        print(done.stderr, file=sys.stderr)
        return []
    results = json.loads(done.stdout)
    return results if isinstance(results, list) else [results]


def main() -> int:
    """Run, print, judge."""
    passed, unexpected, other = 0, [], []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        for number, waiting in enumerate(as_completed([pool.submit(run, folder, one) for one in range(RUNS)]), 1):
            results = waiting.result()
            well = bool(results) and all(one["outcome"] == "passed" for one in results)
            passed += well
            unexpected += [alert["alert"] for one in results for alert in one["unexpected"]]
            if not well:
                other += [reason for one in results for reason in one["reasons"]] or ["it said nothing"]
            print(f"\r{number} of {RUNS} runs", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(json.dumps({"runs": RUNS, "passed": passed, "unexpected": unexpected, "reasons": other}))
    return 0 if passed == RUNS else 1


if __name__ == "__main__":
    sys.exit(main())

"""How long a plan for 10,000 tenants × 300 features × 40 aliases takes, and to judge exposition text of a million series.

Run it: python -m tests.bench.bench_cardinality. Exit code 1 where a figure misses.
"""

from __future__ import annotations

import csv
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.bench.bench_stages import run
from tests.bench.large_estate import large_catalog

TENANTS, FEATURES, ALIASES = 10_000, 300, 40
SERIES = 1_000_000
ROUNDS = 5
ASKED = {"plan_csv_s": 1.0, "plan_csv_mb": 500.0, "plan_jsonl_s": 1.0, "plan_jsonl_mb": 500.0, "judge_s": 20.0}


def sparse_estate(folder: Path, form: str) -> Path:
    """A catalog whose tenants use a few of many features and aliases, its tenants beside it; its path."""
    folder.mkdir()
    noise, catalog = random.Random(1), large_catalog()
    catalog["aliases"] = dict(list(catalog["aliases"].items())[:ALIASES])
    catalog["tenants_file"] = f"tenants.{form}"
    catalog["cardinality"]["total"]["series"] = 10_000_000
    features, aliases = [f"feature-{number}" for number in range(FEATURES)], list(catalog["aliases"])
    with (folder / f"tenants.{form}").open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        if form == "csv":
            rows.writerow(("tenant", "features", "aliases", "budget_usd_per_month", "zone"))
        for number in range(TENANTS):
            own = noise.sample(features, noise.randint(1, 12)), noise.sample(aliases, noise.randint(1, 4))
            if form == "csv":
                rows.writerow((f"tenant-{number}", ";".join(own[0]), ";".join(own[1]), 100 + number, "anywhere"))
            else:
                entry = {"tenant": f"tenant-{number}", "features": own[0], "aliases": own[1]}
                stream.write(json.dumps({**entry, "budget_usd_per_month": 100 + number, "zone": "anywhere"}) + "\n")
    path = folder / "catalog.yaml"
    path.write_text(yaml.safe_dump(catalog, sort_keys=False), encoding="utf-8")
    return path


def exposition(series: int) -> Iterator[str]:
    """Lines of a metric of the contract, of tenants that use many features."""
    yield "# TYPE ai_gateway_cost_usd_total counter\n"
    for number in range(series):
        labels = (
            f'alias="alias-{number % 40}",feature="feature-{number // 40 % 300}",tenant="tenant-{number // 12_000}"'
        )
        yield f"ai_gateway_cost_usd_total{{{labels}}} {number / 7:.6f}\n"


def main() -> int:
    """Measure, print, judge."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for form in ("csv", "jsonl"):
            catalog = sparse_estate(folder / form, form)
            runs = [run(("budget", str(catalog))) for _ in range(ROUNDS)]
            figures[f"plan_{form}_s"] = round(statistics.median(one.seconds for one in runs), 2)
            figures[f"plan_{form}_mb"] = round(max(one.megabytes for one in runs))
        text = folder / "metrics.txt"
        with text.open("w", encoding="utf-8") as stream:
            stream.writelines(exposition(SERIES))
        judged = run(("budget", str(catalog), "--metrics", str(text)))
        figures["judge_s"], figures["judge_mb"] = round(judged.seconds, 2), round(judged.megabytes)
        figures["judge_exit_code"] = judged.exit_code
    print(json.dumps(figures))
    missed = [name for name, limit in ASKED.items() if figures[name] > limit]
    if missed:
        print(f"missed: {', '.join(missed)} (asked are {ASKED})", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

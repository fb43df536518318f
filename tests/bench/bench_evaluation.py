"""How long a real Prometheus takes to evaluate the generated rules over a large estate's 100,000 series and 7 days of past.

Run it: python -m tests.bench.bench_evaluation [--warm-up MINUTES] [--minutes MINUTES] [--json]. It takes a quarter of an hour:
nothing is compressed, rules are evaluated at their own intervals, after the rates' windows have filled. A group whose
interval is longer than the bench is measured by querying its rules once, and said to be. Exit code 1 where a group takes a
tenth of its interval or more at the median, an evaluation is missed or fails, or not every series is there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.bench.exposition import SERIES, exposed_lines, exposition
from tests.bench.large_estate import TENANTS, write_large_estate
from tests.bench.past import DAYS, build_past, openmetrics
from tiercli.catalog.loading import load_catalog
from tiercli.output.tree import PROMETHEUS_FILE, RULES_PATH, render_tree
from tiercli.rules.deployment import Deployment
from tiercli.sandbox.ports import PortAllocator
from tiercli.sandbox.stack.binaries import find_stack

ASKED_SHARE = 0.1
SLOWEST = 12
_POLL_S = 5.0
_EXPOSITIONS = Path(__file__).resolve().parent.parent / "sources" / "expositions"
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


@dataclass
class Group:
    """One rule group: seconds of each evaluation that was seen."""

    name: str
    rules: int
    interval_s: float
    seconds: list[float] = field(default_factory=list)
    by_query: bool = False

    @property
    def share(self) -> float:
        """The median's share of the interval."""
        return statistics.median(self.seconds) / self.interval_s


@dataclass
class Figures:
    """What was measured."""

    cores: int
    load: float
    series: int = 0
    head_series: int = 0
    scrape_s: float = 0.0
    megabytes: float = 0.0
    cpu_cores: float = 0.0
    missed: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    slowest: list[tuple[str, str, int, float]] = field(default_factory=list)  # group, record or alert, rules, seconds


@contextmanager
def serving(text: Callable[[], str], port: int) -> Iterator[None]:
    """A server on loopback that exposes what `text` gives at the moment of each scrape."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended when the block is."""
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def fetch(url: str, **params: str) -> str:
    """The text at a URL."""
    query = f"?{urllib.parse.urlencode(params)}" if params else ""
    with urllib.request.urlopen(url + query, timeout=60) as answer:  # noqa: S310 - our own, on loopback
        return str(answer.read().decode())


def own_metrics(base: str) -> dict[tuple[str, str], float]:
    """What Prometheus says of itself, by (metric, labels)."""
    found = {}
    for line in fetch(f"{base}/metrics").splitlines():
        match = _SAMPLE.match(line)
        if match is not None:
            found[match[1], match[2] or ""] = float(match[3])
    return found


class Watch:
    """Evaluations as they happen: from Prometheus' own metrics, which are small, and now and then from its rules."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.groups: dict[str, Group] = {}
        self.rules: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.failures: dict[str, str] = {}
        self._seen: dict[str, float] = {}

    def look(self, *, count: bool) -> None:
        """Take in evaluations since the last look; without `count` only note that they were."""
        metrics = own_metrics(self.base)
        for (metric, labels), at in metrics.items():
            if metric != "prometheus_rule_group_last_evaluation_timestamp_seconds":
                continue
            name = labels.split('rule_group="')[1].rsplit(";", 1)[1].rstrip('"')
            interval_s = metrics["prometheus_rule_group_interval_seconds", labels]
            rules = int(metrics["prometheus_rule_group_rules", labels])
            group = self.groups.setdefault(name, Group(name, rules, interval_s))
            if at > 0 and self._seen.get(name) != at:
                self._seen[name] = at
                if count:
                    group.seconds.append(metrics["prometheus_rule_group_last_duration_seconds", labels])

    def look_at_rules(self) -> None:
        """Each record's and alert's last evaluation, those of one name in a group added up."""
        for group in json.loads(fetch(f"{self.base}/api/v1/rules"))["data"]["groups"]:
            sums: dict[str, float] = defaultdict(float)
            for rule in group["rules"]:
                sums[rule["name"]] += rule["evaluationTime"]
                if rule["health"] == "err":
                    self.failures[rule["name"]] = rule.get("lastError", "")
            for name, seconds in sums.items():
                self.rules[group["name"], name]["seconds"].append(seconds)
                self.rules[group["name"], name]["rules"] = [sum(rule["name"] == name for rule in group["rules"])]

    def query_the_rest(self, groups: list[dict[str, Any]]) -> None:
        """Measure the groups whose turn did not come by their rules' queries."""
        for group in groups:
            known = self.groups[group["name"]]
            if known.seconds:
                continue
            known.by_query = True
            took = 0.0
            for rule in group["rules"]:
                began = time.monotonic()
                answer = json.loads(fetch(f"{self.base}/api/v1/query", query=rule["expr"], limit="1"))
                one = time.monotonic() - began
                took += one
                name = rule.get("record") or rule["alert"]
                if answer["status"] != "success":
                    self.failures[name] = answer.get("error", "")
                self.rules[group["name"], name]["seconds"].append(one)
                self.rules[group["name"], name]["rules"] = [1]
            known.seconds.append(took)


def measure(folder: Path, warm_up_s: float, measured_s: float, tenants: int, series: int) -> Figures:
    """Set everything up in `folder`, wait, and give the figures."""
    stack = find_stack()
    with PortAllocator() as allocate, ExitStack() as open_now:
        port, gateway, gpus = allocate(), allocate(), allocate()
        path = write_large_estate(folder / "estate", "csv", tenants)
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        content["gateway"]["targets"] = [f"127.0.0.1:{gateway}"]
        content["sources"]["gpus"]["targets"] = [f"127.0.0.1:{gpus}"]
        content["prometheus"]["target"] = f"127.0.0.1:{port}"
        content["alertmanager"] = {"targets": [f"127.0.0.1:{allocate()}"]}
        began = time.time() - (DAYS + 1) * 86_400
        for name, provider in content["providers"].items():
            text = _moving(name, f"{name}-model-0", began)
            for server in provider.get("servers", {}).values():
                server["metrics"] = f"127.0.0.1:{allocate()}"
                open_now.enter_context(serving(text, int(server["metrics"].rpartition(":")[2])))
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        loaded = load_catalog(path)
        tree = render_tree(loaded, Deployment.production(loaded.catalog))
        for name in (PROMETHEUS_FILE, RULES_PATH):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(tree[name], encoding="utf-8")
        groups = yaml.load(tree[RULES_PATH], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["groups"]  # noqa: S506

        lines = exposed_lines(loaded.catalog, series)
        during_s = warm_up_s + measured_s + 300
        pasts, unknown = build_past(loaded.catalog, groups, lines, f"127.0.0.1:{gateway}", began, during_s)
        if unknown:
            _say(f"no past could be made of {', '.join(unknown)}")
        backfill(str(stack.promtool.path), folder, openmetrics(pasts, time.time()))

        open_now.enter_context(serving(lambda: exposition(lines, time.time() - began), gateway))
        open_now.enter_context(serving(_gpus(began), gpus))
        figures = Figures(len(os.sched_getaffinity(0)), 0.0)
        command = [
            str(stack.prometheus.path),
            f"--config.file={folder / PROMETHEUS_FILE}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=45d",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
        process = open_now.enter_context(running(command, folder / "prometheus.log"))
        watch = Watch(f"http://127.0.0.1:{port}")
        _wait_for(watch.base, process, folder / "prometheus.log")
        _say(f"warming up for {warm_up_s / 60:g} minutes, then measuring for {measured_s / 60:g}")
        _watch_for(watch, warm_up_s, count=False)
        before, at = own_metrics(watch.base), time.monotonic()
        _watch_for(watch, measured_s, count=True)
        after, seconds = own_metrics(watch.base), time.monotonic() - at
        figures.load = round(os.getloadavg()[2], 1)  # of a quarter of an hour
        watch.query_the_rest(groups)
        _conclude(figures, watch, before, after, seconds)
    return figures


def backfill(promtool: str, folder: Path, text: Iterator[str]) -> None:
    """Put the past into Prometheus' folder, by way of one file that is deleted."""
    past, began = folder / "past.om", time.monotonic()
    with past.open("w", encoding="utf-8") as stream:
        stream.writelines(text)
    size_mb = past.stat().st_size / 1e6
    made = [promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=168h", "--quiet"]
    subprocess.run([*made, str(past), str(folder / "data")], check=True, stdout=subprocess.DEVNULL)
    past.unlink()
    _say(f"backfilled {DAYS} days, {size_mb:.0f} MB of text, in {time.monotonic() - began:.0f} s")


def _watch_for(watch: Watch, seconds: float, *, count: bool) -> None:
    end, minute = time.monotonic() + seconds, time.monotonic() + 50
    while time.monotonic() < end:
        time.sleep(_POLL_S)
        watch.look(count=count)
        if count and time.monotonic() > minute:
            watch.look_at_rules()
            minute += 60


def _conclude(
    figures: Figures,
    watch: Watch,
    before: dict[tuple[str, str], float],
    after: dict[tuple[str, str], float],
    seconds: float,
) -> None:
    def asked(query: str) -> float:
        result = json.loads(fetch(f"{watch.base}/api/v1/query", query=query))["data"]["result"]
        return float(result[0]["value"][1]) if result else 0.0

    def grown(metric: str) -> float:
        return sum(value - before.get(key, 0.0) for key, value in after.items() if key[0] == metric)

    figures.series = int(asked('scrape_samples_scraped{job="tiercli-gateway"}'))
    figures.scrape_s = round(asked('scrape_duration_seconds{job="tiercli-gateway"}'), 3)
    figures.head_series = int(after["prometheus_tsdb_head_series", ""])
    figures.megabytes = round(after["process_resident_memory_bytes", ""] / 1e6)
    figures.cpu_cores = round(grown("process_cpu_seconds_total") / seconds, 2)
    figures.missed = int(grown("prometheus_rule_group_iterations_missed_total"))
    figures.failures = watch.failures
    figures.groups = sorted(watch.groups.values(), key=lambda group: -group.share)
    rules = [
        (group, name, int(seen["rules"][0]), round(statistics.median(seen["seconds"]), 4))
        for (group, name), seen in watch.rules.items()
    ]
    figures.slowest = sorted(rules, key=lambda one: -one[3])[:SLOWEST]


def _moving(source: str, model: str, began: float) -> Callable[[], str]:
    text = (_EXPOSITIONS / f"{source}.txt").read_text(encoding="utf-8") if _is_local(source) else ""
    text = re.sub(r'model_name="[^"]*"', f'model_name="{model}"', text)

    def now() -> str:
        seconds = time.time() - began
        return re.sub(r" \+(\S+)$", lambda one: f" {float(one[1]) * seconds!r}", text, flags=re.MULTILINE)

    return now


def _is_local(source: str) -> bool:
    return (_EXPOSITIONS / f"{source}.txt").is_file()


def _gpus(began: float) -> Callable[[], str]:
    text = (_EXPOSITIONS / "tiercli-gpu.txt").read_text(encoding="utf-8")
    samples = [line for line in text.splitlines() if line and not line.startswith("#")]
    whole = "".join(sample.replace('gpu="0"', f'gpu="{gpu}"') + "\n" for sample in samples for gpu in range(8))
    return lambda: whole


def _wait_for(base: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            fetch(f"{base}/-/ready")
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.5)
        else:
            return
    raise SystemExit(f"Prometheus did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print(figures: Figures) -> None:
    print(f"{figures.cores} cores, load average {figures.load} (15 minutes, Prometheus and this bench in it)")
    print(
        f"{figures.series:,} series scraped in {figures.scrape_s} s; {figures.head_series:,} in the head with what the rules "
        f"record; {figures.megabytes:,.0f} MB, {figures.cpu_cores} cores of CPU"
    )
    print(f"{'group':<20} {'rules':>7} {'interval':>9} {'median':>9} {'worst':>9} {'share':>7}  evaluations")
    for group in figures.groups:
        how = "1, by query" if group.by_query else str(len(group.seconds))
        print(
            f"{group.name:<20} {group.rules:>7,} {group.interval_s:>7g} s {statistics.median(group.seconds):>7.3f} s "
            f"{max(group.seconds):>7.3f} s {group.share:>7.2%}  {how}{'  MISSED' if group.share >= ASKED_SHARE else ''}"
        )
    print("the slowest, seconds an evaluation:")
    for group_name, name, rules, seconds in figures.slowest:
        print(f"  {seconds:7.3f}  {name} ({group_name}{f', {rules:,} rules' if rules > 1 else ''})")
    print(f"evaluations missed: {figures.missed}; rules that fail: {figures.failures or 'none'}")


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else on standard output")
    parser.add_argument("--warm-up", type=float, default=5.5, help="minutes before measuring")
    parser.add_argument("--minutes", type=float, default=6.5, help="of measuring")
    parser.add_argument("--tenants", type=int, default=TENANTS)
    parser.add_argument("--series", type=int, default=SERIES)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tiercli-evaluation-") as folder:
        figures = measure(
            Path(folder), arguments.warm_up * 60, arguments.minutes * 60, arguments.tenants, arguments.series
        )
    slow = [group.name for group in figures.groups if group.share >= ASKED_SHARE]
    met = not slow and not figures.missed and not figures.failures and figures.series == arguments.series
    if arguments.json:
        print(json.dumps({**asdict(figures), "met": met}))
    else:
        _print(figures)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

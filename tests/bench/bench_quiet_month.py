"""Whether anything cries wolf in a month: the deployed rules over a simulated quiet month, in Prometheus' own rule engine.

Run it: python -m tests.bench.bench_quiet_month [--days DAYS] [--seed SEED] [--every-day]. The rules are those that `tiercli generate`
writes for catalogs/hybrid.yaml, with a second gateway replica, and a tenant that begins to call on the tenth day; left out is
what no alarm reads. promtool evaluates all groups at one pace, so there are three runs: those of providers, gateway, servers,
GPUs and tenants once a minute, through five days that have all that happens in the month (or through all days); those of spend
and drift every 4 minutes, and the month's sums every 8, through the month. What is recorded once an hour is so here too. Then
two faults, to see that the same rules are not blind. Exit code 1 where an alarm fires in the month, or none does under a fault.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.bench.exposition import series_text
from tests.bench.quiet_month import DAY, EVENTFUL_DAYS, NEWCOMER, Line, Target, attempts, quiet_month, up
from tiercli.catalog.loading import load_catalog
from tiercli.catalog.model import Catalog, Typical
from tiercli.conventions import GATEWAY_JOB, GROUP_PREFIX, HEARTBEAT
from tiercli.output.tree import RULES_PATH, from_yaml, render_tree, to_yaml
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.deployment import Deployment
from tiercli.sandbox.stack.binaries import find_stack
from tiercli.signals.expressions import series_read

ROOT = Path(__file__).resolve().parents[2]
DAYS = 31
SEED = 20261121
_HOURLY = f"{GROUP_PREFIX}-hourly"
_QUICK, _SLOW = ("gateway", "provider", "servers", "gpus", "tenant"), ("spend", "drift")
# Minutes: an instant query looks back 5; and 31 days of the sums have to be less than ten thousand samples.
_SLOW_STEP, _MONTH_STEP = 4, 8
_FAULT_AT, _FAULT_MINUTES = 480, 180
_GOT = re.compile(r"\{(?P<labels>[^}]*)\} (?P<value>[^\s,]+)")
_CONSTANT = re.compile(r"vector\(([-+.\de]+)\)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_FIRING = f'ALERTS{{alertstate="firing", alertname!="{HEARTBEAT}"}}'

Group = dict[str, Any]
Answer = list[tuple[dict[str, str], float]]


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that fired: its labels, the minute of its first evaluation as firing, for how many minutes, and its value then."""

    labels: dict[str, str]
    first: int
    minutes: int
    value: float


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one offer at a steady rate of attempts: its p95 and share of failures, and the alarm that has to fire."""

    text: str
    alarm: str
    a_minute: float
    p95_seconds: float = 0.095
    error_ratio: float = 0.0


FAULTS = (
    Fault("p95 from 95 to 988 ms at 6 attempts a minute", "ProviderLatencyHigh", 6.0, p95_seconds=0.988),
    Fault("errors from 0 to 1.9 % at 3,600 attempts an hour", "ProviderErrorRateHigh", 60.0, error_ratio=0.019),
    Fault("errors from 0 to 1.9 % at 3,600 attempts in 5 min", "ProviderErrorRateHigh", 720.0, error_ratio=0.019),
)


@dataclass(frozen=True, slots=True)
class Estate:
    """The catalog, and the rules that are deployed for it."""

    catalog: Catalog
    groups: list[Group]
    identities: dict[str, tuple[str, ...]]  # the labels that an alarm's alerts differ by

    @staticmethod
    def of(folder: Path, change: Callable[[dict[str, Any]], None]) -> Estate:
        """catalogs/hybrid.yaml with a change."""
        content = from_yaml((ROOT / "catalogs" / "hybrid.yaml").read_text(encoding="utf-8"))
        change(content)
        path = folder / "catalog.yaml"
        path.write_text(to_yaml(content), encoding="utf-8")
        loaded = load_catalog(path)
        deployment = Deployment.production(loaded.catalog)
        rules = from_yaml(render_tree(loaded, deployment)[RULES_PATH])["groups"]
        identities = {alarm.alarm: alarm.identity for alarm in load_alarms(loaded, deployment.timing)}
        return Estate(loaded.catalog, rules, identities)


def read_by_alarms(groups: Iterable[Group], names: Iterable[str]) -> list[Group]:
    """The alert rules of the groups with these names, and the recording rules that they depend on."""
    groups, names = list(groups), {f"{GROUP_PREFIX}-{name}" for name in names}
    rules = [rule for group in groups for rule in group["rules"]]
    needed: set[str] = set()
    waiting = [rule["expr"] for group in groups if group["name"] in names for rule in group["rules"] if "alert" in rule]
    while waiting:
        new = series_read(waiting.pop()) - needed
        needed |= new
        waiting += [rule["expr"] for rule in rules if rule.get("record") in new]
    kept = [
        {
            **group,
            "rules": [
                rule
                for rule in group["rules"]
                if (group["name"] in names if "alert" in rule else rule["record"] in needed)
            ],
        }
        for group in groups
    ]
    return [_at_the_hour(group) if group["name"] == _HOURLY else group for group in kept if group["rules"]]


def _at_the_hour(group: Group) -> Group:
    rules = [{**rule, "expr": f"({rule['expr']}) and on () (vector(time() % 3600) == 0)"} for rule in group["rules"]]
    return {**group, "rules": rules}


def constants_apart(groups: list[Group], minutes: int) -> tuple[list[Group], list[Line]]:
    """The groups without the rules that record a constant, and the series of those: they need not be evaluated."""
    lines, kept = [], []
    for group in groups:
        others = []
        for rule in group["rules"]:
            constant = _CONSTANT.fullmatch(rule["expr"].strip()) if "record" in rule else None
            if constant is None:
                others.append(rule)
            else:
                lines.append((series_text(rule["record"], rule.get("labels", {})), f"{constant[1]}x{minutes}"))
        if others:
            kept.append({**group, "rules": others})
    return kept, lines


def ask(
    folder: Path, groups: list[Group], lines: Iterable[Line], step: int, asked: list[tuple[str, int]]
) -> list[Answer]:
    """What promtool answers to each query at its minute, evaluating the groups every `step` minutes."""
    (folder / "rules.yml").write_text(to_yaml({"groups": groups}), encoding="utf-8")
    with (folder / "test.yml").open("w", encoding="utf-8") as stream:
        stream.write(f"rule_files: [rules.yml]\nevaluation_interval: {step}m\n")
        stream.write(f"group_eval_order: [{', '.join(group['name'] for group in groups)}]\n")
        stream.write("tests:\n- interval: 1m\n  external_labels: {estate: content-company, env: production}\n")
        stream.write("  input_series:\n")
        for series, values in lines:
            stream.write(f"  - series: '{series}'\n    values: '{values}'\n")
        stream.write("  promql_expr_test:\n")
        for query, minute in asked:
            text = json.dumps(" ".join(query.split()))
            stream.write(
                f"  - expr: {text}\n    eval_time: {minute}m\n    exp_samples: [{{labels: asked, value: 1}}]\n"
            )
    # None is as expected, so that promtool says what it got.
    command = [str(find_stack().promtool.path), "test", "rules", "test.yml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    parts = said.split("    expr: ")[1:]
    if len(parts) != len(asked) or any("got:" not in part for part in parts) or "    rule: " in said:
        raise SystemExit(f"promtool does not answer:\n{said[-2000:]}")
    return [
        [
            (dict(_LABEL.findall(match["labels"])), float(match["value"]))
            for match in _GOT.finditer(part.partition("got:")[2])
        ]
        for part in parts
    ]


def alerts(
    folder: Path, estate: Estate, groups: list[Group], lines: list[Line], step: int, minutes: int
) -> tuple[list[Fired], dict[str, int]]:
    """Every alert that fired in so many minutes; and of each alarm for how many minutes an alert of it was pending."""
    # Half a day at once: promtool's engine loads ten thousand samples for a query.
    ends = [min(end, minutes) - step for end in range(DAY // 2, minutes + DAY // 2, DAY // 2)]
    asked = []
    for end in ends:
        window = f"[{DAY // 2 - 1}m]"
        asked.append((f'sum by (alertname) (count_over_time(ALERTS{{alertstate="pending"}}{window}))', end))
        asked.append((f"count_over_time({_FIRING}{window})", end))
        asked.append((f"min_over_time(timestamp({_FIRING})[{DAY // 2 - step}m:{step}m])", end))
    answers = ask(folder, groups, lines, step, asked)
    pending: Counter[str] = Counter()
    counted: Counter[tuple[tuple[str, str], ...]] = Counter()
    firsts: dict[tuple[tuple[str, str], ...], int] = {}
    for waiting, firing, began in zip(answers[::3], answers[1::3], answers[2::3], strict=True):
        pending.update({labels["alertname"]: round(value) * step for labels, value in waiting})
        counted.update({_own(labels): round(value) * step for labels, value in firing})
        for labels, value in began:
            firsts.setdefault(_own(labels), round(value / 60))
    exprs = {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"] if "alert" in rule}
    own = sorted(firsts, key=lambda labels: firsts[labels])
    # Asked once it is known when: a second run, only where something fired.
    values = (
        ask(folder, groups, lines, step, [(exprs[dict(one)["alertname"]], firsts[one]) for one in own]) if own else []
    )
    fired = []
    for one, answer in zip(own, values, strict=True):
        labels = dict(one)
        identity = estate.identities[labels["alertname"]]
        value = [found for other, found in answer if all(other.get(name) == labels.get(name) for name in identity)]
        fired.append(Fired(labels, firsts[one], counted[one], value[0] if value else math.nan))
    return fired, dict(pending)


def _own(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, text) for name, text in labels.items() if name not in ("__name__", "alertstate")))


def estate_of_the_month(folder: Path) -> Estate:
    """catalogs/hybrid.yaml with a second replica of the gateway, and the tenant that begins to call on the tenth day."""

    def change(content: dict[str, Any]) -> None:
        content["gateway"]["targets"] = ["gateway-1.internal:9100", "gateway-2.internal:9100"]
        content["tenants"][NEWCOMER] = {
            "features": ["chat", "search"],
            "budget_usd_per_month": 12000,
            "zone": "anywhere",
        }

    return Estate.of(folder, change)


def run(
    folder: Path, estate: Estate, lines: list[Line], names: Iterable[str], step: int, began: int, end: int
) -> tuple[list[Fired], dict[str, int], int]:
    """What the alarms of some groups did from minute `began` to `end`, and how many samples were read."""
    groups, constants = constants_apart(read_by_alarms(estate.groups, names), end - began)
    cut = [(series, " ".join(values.split(" ")[began:end])) for series, values in lines]
    samples = sum(values.count(" ") + 1 - values.count("_") for _, values in cut)
    fired, pending = alerts(folder, estate, groups, [*cut, *constants], step, end - began)
    return [replace(one, first=one.first + began) for one in fired], pending, samples


def under_fault(folder: Path, fault: Fault) -> list[Fired]:
    """What fires when one offer goes wrong after eight hours in which it did not."""

    def change(content: dict[str, Any]) -> None:
        typical = {"p50_seconds": 0.06, "p95_seconds": 0.095, "error_ratio": 0.0}
        content["providers"]["openai"]["regions"]["ap-south-1"]["typical"] = typical

    estate = Estate.of(folder, change)
    end = _FAULT_AT + _FAULT_MINUTES
    target = Target({"job": GATEWAY_JOB, "instance": estate.catalog.gateway.targets[0]}, " " * end)
    offer = next(one for one in estate.catalog.offers() if one.provider == "openai")
    usual = Typical(p50_seconds=0.06, p95_seconds=0.095)
    slow = Typical(p50_seconds=0.06 * fault.p95_seconds / 0.095, p95_seconds=fault.p95_seconds)
    failing = [0.0] * _FAULT_AT + [fault.error_ratio] * _FAULT_MINUTES
    made = attempts(
        target,
        offer._asdict(),
        random.Random(SEED),
        [fault.a_minute] * end,
        lambda at: usual if at < _FAULT_AT else slow,
        {"UPSTREAM_ERROR": failing},
    )
    fired, _, _ = run(folder, estate, [up(target), *made], ("provider",), 1, 0, end)
    return fired


def main() -> int:
    """Simulate, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--every-day", action="store_true", help="each minute of all days; it takes five times as long")
    arguments = parser.parse_args()
    began, minutes, wrong = time.monotonic(), arguments.days * DAY, False
    with tempfile.TemporaryDirectory(prefix="tiercli-quiet-month-") as name:
        folder = Path(name)
        estate = estate_of_the_month(folder)
        lines = list(quiet_month(estate.catalog, minutes, arguments.seed))
        every_day = arguments.every_day or arguments.days < EVENTFUL_DAYS.stop
        first, last = (0, arguments.days) if every_day else (EVENTFUL_DAYS.start, EVENTFUL_DAYS.stop)
        for names, step, start, end in (
            (_SLOW, _SLOW_STEP, 0, minutes),
            (("month",), _MONTH_STEP, 0, minutes),
            (_QUICK, 1, first * DAY, last * DAY),
        ):
            fired, pending, samples = run(folder, estate, lines, names, step, start, end)
            print(
                f"{', '.join(names)}: {samples:,} samples of {len(lines)} series, {end - start:,} minutes, evaluated every "
                f"{step} min; {len(fired)} alerts fired; minutes pending: {pending or 'none'}"
            )
            for one in fired:
                print(f"  {_told(one)}")
            wrong = wrong or bool(fired)
        for fault in FAULTS:
            fired = [one for one in under_fault(folder, fault) if one.labels["alertname"] == fault.alarm]
            told = "; ".join(f"after {one.first - _FAULT_AT} min, {one.value:.3g}" for one in fired)
            print(f"{fault.text}: {fault.alarm} {told or 'DID NOT FIRE'}")
            wrong = wrong or not fired or min(one.first for one in fired) < _FAULT_AT
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_s = sum(one.ru_utime + one.ru_stime for one in used)
    print(f"{time.monotonic() - began:.0f} s, {cpu_s:.0f} s of CPU")
    return int(wrong)


def _told(one: Fired) -> str:
    when = f"day {one.first // DAY}, {one.first % DAY // 60:02}:{one.first % 60:02} UTC"
    hidden = ("alertname", "estate", "env", "severity", "owner", "source")
    labels = ", ".join(f"{name}={text}" for name, text in one.labels.items() if name not in hidden)
    return f"{one.labels['alertname']} {labels}: from {when}, for {one.minutes} min, at {one.value:.4g}"


if __name__ == "__main__":
    sys.exit(main())

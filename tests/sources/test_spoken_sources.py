"""How each source is spoken: every section is well formed; a real Prometheus reads back, through the signals of the same file, what a
simulation counted; and what real servers exposed has the same names, types, labels and buckets."""

from __future__ import annotations

import asyncio
import json
import math
import re
import subprocess
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise, product
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from aiohttp.test_utils import make_mocked_request
from prometheus_client.parser import text_string_to_metric_families

from tests.clients.live_servers import fetch, free_port, running
from tiercli.sandbox.spoken_metrics import Amounts, SpokenMetrics
from tiercli.sandbox.stack.binaries import StackBinaries
from tiercli.signals.bindings import CANONICAL_BINDING, Binding, binding_names, bound_expressions, known_binding
from tiercli.signals.contract import ERROR_CODES, SUCCESS, UNCLASSIFIED
from tiercli.signals.error_codes import code_of
from tiercli.signals.recorded import RECORDED_BY_NAME
from tiercli.signals.spoken import AMOUNTS, FACTS, STATES, Event, Spoken
from tiercli.signals.timing import Timing

SCRAPES = Path(__file__).parent / "scrapes"
SCRAPE = make_mocked_request("GET", "/metrics")
Facts = dict[str, str]
Happened = tuple[Event, Facts, Amounts]
Values = dict[frozenset[tuple[str, str]], float]

# They expose the canonical contract.
CANONICAL = {CANONICAL_BINDING, "proxy", "audit"}
SPOKEN = [name for name in binding_names() if known_binding(name).spoken is not None]
# What a signal reads and a simulation has nothing of.
UNSPOKEN = {
    "azurerm_openai_azureopenaiprovisionedmanagedutilizationv2_average_percent": "no deployment is provisioned",
    "DCGM_FI_DEV_FB_RESERVED_BYTES": "older versions do not have it, and the memory in use is all that is not free",
    "tgi_request_failure": "a server's failures are seen by its caller, and are not told as events",
    "request_failure_total": "a server's failures are seen by its caller, and are not told as events",
    "nv_inference_request_failure": "a server's failures are seen by its caller, and are not told as events",
}
WITHOUT_DATA = {("azure-openai", "tier:provider:quota_headroom:ratio"): "no deployment is provisioned"}


def spoken_of(name: str) -> tuple[Binding, Spoken]:
    binding = known_binding(name)
    assert binding.spoken is not None
    return binding, binding.spoken


def every_fact(event: Event) -> Iterator[Facts]:
    """Facts of an event as they can be, in all combinations of those that decide something."""
    base = {fact: f"a {fact}" for fact in FACTS[event]} | {"deployment": "a/deployment", "step": "0"}
    choices: dict[str, tuple[str, ...]] = {
        "code": ("", *ERROR_CODES),
        "status": ("", "200", "418", "429", "503"),
        "stream": ("", "yes"),
        "rescued": ("", "yes"),
    }
    own = {fact: values for fact, values in choices.items() if fact in FACTS[event]}
    for values in product(*own.values()):
        chosen = base | dict(zip(own, values, strict=True))
        if event == "fall" and not chosen["code"]:
            continue  # nothing fell
        yield {fact: chosen[fact] for fact in FACTS[event]}
        if event == "call":  # one that was answered from a cache, or refused, before it was routed
            nowhere = dict.fromkeys(("provider", "model", "region", "deployment", "step", "stream"), "")
            yield {fact: (chosen | nowhere)[fact] for fact in FACTS[event]}


def test_every_source_with_metrics_of_its_own_is_spoken() -> None:
    assert set(binding_names()) - set(SPOKEN) == CANONICAL


@pytest.mark.parametrize("name", SPOKEN)
def test_a_section_fits_the_metrics_of_its_source(name: str) -> None:
    binding, spoken = spoken_of(name)
    current = {metric for metric, exposed in binding.metrics.items() if not exposed.older}
    assert current - spoken.metrics.keys() == current & UNSPOKEN.keys()
    assert spoken.metrics.keys() <= current
    assert spoken.labels.keys() <= {label for metric in spoken.metrics for label in binding.metrics[metric].labels}
    for metric, entries in spoken.metrics.items():
        exposed = binding.metrics[metric]
        if exposed.type == "histogram":
            assert isinstance(exposed.buckets, tuple), metric
            assert list(exposed.buckets) == sorted(set(exposed.buckets)) != [], metric
        for entry in entries:
            assert entry.labels.keys() <= set(exposed.labels), metric
            assert entry.amount is None or entry.amount in AMOUNTS[entry.of], metric
            assert (exposed.type == "gauge") == (entry.of in STATES or entry.of_last_minute), metric
            assert entry.amount is not None or entry.of not in STATES, metric
            assert entry.quantile is None or entry.of_last_minute, metric


@pytest.mark.parametrize("name", SPOKEN)
def test_its_expressions_have_a_value_for_whatever_happens(name: str) -> None:
    """Jinja finds a mistake when it compiles or evaluates; a fact that an event does not have is one."""
    binding, spoken = spoken_of(name)
    events = {entry.of for entries in spoken.metrics.values() for entry in entries}
    states = [
        (event, facts, dict.fromkeys(AMOUNTS[event], 1.0))
        for event in STATES
        if event in events
        for facts in every_fact(event)
    ]
    metrics = SpokenMetrics(binding, lambda: iter(states))
    for event in events - set(STATES):
        for facts in every_fact(event):
            metrics.count(event, facts, dict.fromkeys(AMOUNTS[event], 1.0))
            metrics.count(event, facts, dict.fromkeys(AMOUNTS[event]))  # nothing is known of it
    text = exposition(metrics)
    assert set(spoken.metrics) <= set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    labels = {
        label: set(re.findall(rf'[{{,]{label}="([^"]*)"', text))
        for metric in spoken.metrics
        for label in binding.metrics[metric].labels
    }
    unset = {label for label, values in labels.items() if values == {spoken.absent}}
    assert not unset & (
        spoken.labels.keys() | {label for label, of in binding.label_values.items() if isinstance(of, str)}
    )


def exposition(metrics: SpokenMetrics) -> str:
    """What a scrape would get."""
    answer = asyncio.run(metrics.answer(SCRAPE))
    assert isinstance(answer.body, bytes)
    return answer.body.decode()


# What happens between two scrapes, every time. The deployment's name is not that of its provider and model, so that whatever
# is read of it has been looked up.
STEP_S = 10
STEPS = 42
TIMING = Timing(scrape_interval_s=STEP_S, evaluation_interval_s=STEP_S)
SERVICE_LEVEL_S = 5.0
CLAUDE = {"provider": "anthropic", "model": "claude", "region": "ap-south-1", "deployment": "house/writer"}
GPT = {"provider": "openai", "model": "gpt", "region": "us-east-1", "deployment": "spare/writer"}
NOWHERE = dict.fromkeys(("provider", "model", "region", "deployment", "step", "stream"), "")
CALLER = {"alias": "chat", "tenant": "acme", "feature": "search"}
SUCCESSES, RESCUED, UNROUTED = 100, 5, 3
# How many fail, by error code and status; "" is no answer.
FAILURES = {
    ("UPSTREAM_TIMEOUT", ""): 1,
    ("UPSTREAM_TIMEOUT", "504"): 2,
    ("RATE_LIMITED", "429"): 3,
    ("INVALID_REQUEST", "400"): 4,
    ("UPSTREAM_ERROR", "503"): 5,
    ("CONNECTION_FAILED", ""): 6,
    ("AUTH_FAILED", "401"): 7,
    ("MODEL_NOT_FOUND", "404"): 8,
    (UNCLASSIFIED, "418"): 9,
    ("POSTCONDITION_FAILED", "200"): 10,
}
WHOLE_S, FAILED_S, FIRST_TOKEN_S, RESCUED_S = 1.7, 0.3, 0.6, 2.1
INPUT, OUTPUT, USD = 120.0, 30.0, 0.02
# Of a server, and of a GPU.
ANSWERS = 4
ANSWER = {"seconds": 3.2, "ttft_seconds": 0.9, "queue_seconds": 0.7, "input_tokens": INPUT, "output_tokens": OUTPUT}
LOAD = {"running": 10.0, "waiting": 7.0, "cache_ratio": 0.6}
GIB = 2.0**30
CARD = {
    "busy_ratio": 0.4,
    "memory_used_bytes": 20 * GIB,
    "memory_free_bytes": 60 * GIB,
    "memory_total_bytes": 80 * GIB,
    "power_watts": 300.0,
    "celsius": 61.0,
}
WHO = {"model": "llama", "server": "node-a"}
GPU = {"gpu": "0", "uuid": "GPU-0A", "server": "node-a"}


def test_the_failures_are_such_as_there_can_be() -> None:
    assert {code for code, _ in FAILURES} == set(ERROR_CODES)
    own = {"POSTCONDITION_FAILED": ""}
    assert all(code_of(int(status)) == own.get(code, code) for code, status in FAILURES if status)


def amounts(seconds: float, *, answered: bool, stream: bool) -> Amounts:
    return {
        "seconds": seconds,
        "ttft_seconds": FIRST_TOKEN_S if stream else None,
        "cost_usd": USD if answered else None,
        "input_tokens": INPUT if answered else 0.0,
        "output_tokens": OUTPUT if answered else 0.0,
        "cache_read_tokens": 0.0,
        "cache_write_tokens": 0.0,
    }


def happened() -> Iterator[Happened]:
    """All that happens between two scrapes."""

    def attempt(place: Facts, status: str, code: str, *, step: str = "0", stream: bool = False) -> Happened:
        facts = {**CALLER, **place, "step": step, "status": status, "code": code, "stream": "yes" if stream else ""}
        return "attempt", facts, amounts(FAILED_S if code else WHOLE_S, answered=not code, stream=stream)

    def call(of: Happened, status: str, seconds: float) -> Happened:
        _, facts, used = of
        return "call", {**facts, "status": status}, {**used, "seconds": seconds}

    for number in range(SUCCESSES):
        answered = attempt(CLAUDE, "200", "", stream=number % 2 == 0)
        yield from (answered, call(answered, "200", WHOLE_S))
    for (code, status), count in FAILURES.items():
        failed = attempt(CLAUDE, status, code)
        for _ in range(count):
            yield from (failed, call(failed, "502", FAILED_S))
    for _ in range(RESCUED):
        first, second = attempt(CLAUDE, "429", "RATE_LIMITED"), attempt(GPT, "200", "", step="1")
        yield from (first, second, call(second, "200", RESCUED_S))
        there = {f"to_{fact}": value for fact, value in GPT.items()}
        yield "fall", {**CALLER, **CLAUDE, **there, "status": "429", "code": "RATE_LIMITED", "rescued": "yes"}, {}
    for _ in range(UNROUTED):
        refused = {**CALLER, **NOWHERE, "status": "400", "code": "INVALID_REQUEST"}
        yield "call", refused, {**dict.fromkeys(AMOUNTS["call"]), "seconds": 0.01}
    for number in range(ANSWERS):
        yield "answer", {**WHO, "stream": "yes" if number % 2 == 0 else ""}, ANSWER


def spoken_in(binding: Binding, clock: list[float]) -> SpokenMetrics:
    """A target of a source, empty as yet, whose server and GPU are under load. `clock` holds the time."""
    states: list[Happened] = [("server", WHO, LOAD), ("gpu", GPU, CARD)]
    return SpokenMetrics(binding, lambda: iter(states), clock=lambda: clock[0])


class Told(NamedTuple):
    """What a gateway or a console tells of what happened. `calls`: it counts calls, by the last attempt, and not attempts. `codes`: as
    what it tells a failure that it does not tell as it was; "" is a success, None nothing. `timed`: whose time it measures. A stream's
    time may end with its first token."""

    calls: bool = False
    codes: Mapping[str, str | None] = {}
    timed: str = "all"
    stream_s: float = WHOLE_S

    def read(self, binding: Binding, code: str, status: str) -> str | None:
        return None if binding.console and not status else self.codes.get(code, code)


TOLD = {
    "litellm": Told(codes={"POSTCONDITION_FAILED": "UPSTREAM_ERROR"}, timed="successes"),
    "bifrost": Told(codes={"CONNECTION_FAILED": "UPSTREAM_ERROR", "POSTCONDITION_FAILED": UNCLASSIFIED}),
    "envoy-ai-gateway": Told(calls=True, codes=dict.fromkeys(ERROR_CODES, "UPSTREAM_ERROR")),
    "kong-ai": Told(calls=True, codes=dict.fromkeys(ERROR_CODES, ""), stream_s=FIRST_TOKEN_S),
    "otel-genai": Told(codes=dict.fromkeys((UNCLASSIFIED, "POSTCONDITION_FAILED"), "UPSTREAM_ERROR")),
    "portkey": Told(calls=True, codes={"CONNECTION_FAILED": "UPSTREAM_ERROR", "POSTCONDITION_FAILED": ""}),
    "azure-openai": Told(codes={"POSTCONDITION_FAILED": ""}),
    "bedrock-cloudwatch": Told(
        codes={
            **dict.fromkeys(("AUTH_FAILED", "MODEL_NOT_FOUND", UNCLASSIFIED), "INVALID_REQUEST"),
            "UPSTREAM_TIMEOUT": "UPSTREAM_ERROR",
            "POSTCONDITION_FAILED": "",
        },
        timed="successes",
    ),
    "vertex-ai": Told(codes={"POSTCONDITION_FAILED": ""}, timed="successes"),
}


def key(**labels: str) -> frozenset[tuple[str, str]]:
    return frozenset((label.rstrip("_"), value) for label, value in labels.items())


def place(of: Facts, **more: str) -> frozenset[tuple[str, str]]:
    return key(provider=of["provider"], model=of["model"], region=of["region"], **more)


def told_failures(binding: Binding, told: Told) -> dict[str, int]:
    """How many failures there are between two scrapes by the code that the source tells, "" for a success."""
    found: dict[str, int] = {}
    failures = [(code, status, count) for (code, status), count in FAILURES.items()]
    if not told.calls:
        failures.append(("RATE_LIMITED", "429", RESCUED))
    for code, status, count in failures:
        if (read := told.read(binding, code, status)) is not None:
            found[read] = found.get(read, 0) + count
    return found


def observed(binding: Binding, told: Told) -> dict[str, list[float]]:
    """The seconds that were measured at CLAUDE between two scrapes, in order, and those at GPT."""
    half = SUCCESSES // 2
    times = [WHOLE_S] * half + [told.stream_s] * half
    failures = told_failures(binding, told)
    times += [FAILED_S] * (failures.get("", 0) if told.timed == "successes" else sum(failures.values()))
    return {"claude": sorted(times), "gpt": [RESCUED_S if told.calls else WHOLE_S] * RESCUED}


def gateway_expected(name: str) -> dict[str, Values]:
    """The value of each signal that a gateway or a console has."""
    binding, told = known_binding(name), TOLD[name]
    failures = told_failures(binding, told)
    succeeded, failed = SUCCESSES + failures.pop("", 0), sum(failures.values())
    times, every = observed(binding, told), SUCCESSES + sum(FAILURES.values()) + RESCUED
    calls = {"bifrost": every}.get(name, every + UNROUTED)
    per_s, answers = 1 / STEP_S, SUCCESSES + RESCUED
    by_status = {place(CLAUDE, status=SUCCESS): succeeded, place(GPT, status=SUCCESS): RESCUED}
    if failed:
        by_status[place(CLAUDE, status="failure")] = failed
    in_sight = {place(CLAUDE): succeeded + failed, place(GPT): RESCUED}
    tokens = {"input": INPUT, "output": OUTPUT}
    timed = {place(CLAUDE): len(times["claude"]) * per_s, place(GPT): RESCUED * per_s}
    steps = {"litellm": ("unknown", "unknown"), "bifrost": ("0", "1")}.get(name, ("", ""))
    spent = {key(tenant="acme"): answers * USD}
    # Six minutes of growth, of which a tenth has passed since the last evaluation; on average it is three minutes old.
    window_s, share = 360, 0.1
    grown = window_s * share * per_s
    lead = window_s / 2 * (1 - share) * per_s
    return {
        "tier:provider:requests:rate5m": scaled(by_status, per_s),
        "tier:provider:requests:increase1m": scaled(by_status, 60 * per_s),
        "tier:provider:requests:increase5m": scaled(in_sight, 300 * per_s),
        "tier:provider:errors:rate5m": {place(CLAUDE, code=code): n * per_s for code, n in failures.items()},
        "tier:provider:unclassified_errors:increase5m": {place(CLAUDE): failures.get(UNCLASSIFIED, 0) * 300 * per_s},
        **{
            f"tier:provider:latency_seconds:{quantile}_5m": {
                place(CLAUDE): ranked(times["claude"], share), place(GPT): ranked(times["gpt"], share)
            }
            for quantile, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
        "tier:provider:ttft_seconds:p95_5m": {place(CLAUDE): FIRST_TOKEN_S},
        "tier:provider:within_sla:rate5m": timed,
        "tier:provider:timed:rate5m": timed,
        "tier:provider:tokens:rate5m": {
            place(of, direction=direction): count * used * per_s
            for of, count in ((CLAUDE, SUCCESSES), (GPT, RESCUED))
            for direction, used in tokens.items()
        },
        "tier:gateway:unnamed_attempts:increase5m": {key(): 0},
        "tier:gateway:healthy_instances:count": {key(): 1},
        "tier:gateway:calls:increase5m": {key(): calls * 300 * per_s},
        "tier:alias:requests:rate5m": {
            key(alias="chat") | place(CLAUDE, fallback_step=steps[0]): SUCCESSES * per_s,
            key(alias="chat") | place(GPT, fallback_step=steps[1]): RESCUED * per_s,
        },
        "tier:alias:fallbacks:rate5m": {
            key(alias="chat", from_="chat", to=GPT["deployment"], reason="Anthropic.RateLimitError"): RESCUED * per_s
        },
        "tier:alias:latency_seconds:p95_5m": {key(alias="chat"): WHOLE_S},
        "tier:alias:cost_usd:rate5m": {key(alias="chat"): answers * USD * per_s},
        "tier:tenant:cost_usd:rate5m": scaled(spent, per_s),
        "tier:tenant:cost_usd:grown": {key(tenant="acme", month="11"): answers * USD * grown},
        "tier:tenant:cost_usd:lead": scaled(spent, lead),
        "tier:tenant:tokens:rate5m": {
            key(tenant="acme", direction=direction): answers * used * per_s for direction, used in tokens.items()
        },
        "tier:tenant:calls:rate5m": {
            key(tenant="acme", region=CLAUDE["region"], status=SUCCESS): SUCCESSES * per_s,
            key(tenant="acme", region=CLAUDE["region"], status="failure"): sum(FAILURES.values()) * per_s,
            key(tenant="acme", region=GPT["region"], status=SUCCESS): RESCUED * per_s,
        },
        "tier:tenant:calls:grown": {key(tenant="acme"): calls * grown},
        "tier:tenant:calls:lead": {key(tenant="acme"): calls * lead},
    }  # fmt: skip


def scaled(values: Mapping[frozenset[tuple[str, str]], float], by: float) -> Values:
    return {labels: value * by for labels, value in values.items()}


def ranked(ordered: list[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def expected_of(name: str) -> dict[str, Values]:
    kind = known_binding(name).kind
    if kind == "gateway":
        return gateway_expected(name)
    if kind == "gpus":
        card = key(instance=name, gpu="0a" if name == "nvidia-gpu-exporter" else "0")
        return {
            "tier:gpu:utilization:ratio": {card: CARD["busy_ratio"]},
            "tier:gpu:memory_used:bytes": {card: CARD["memory_used_bytes"]},
            "tier:gpu:memory_total:bytes": {card: CARD["memory_total_bytes"]},
            "tier:gpu:power:watts": {card: CARD["power_watts"]},
            "tier:gpu:temperature:celsius": {card: CARD["celsius"]},
        }
    who = key(**WHO)
    return {
        "tier:server:queue_depth:sum": {who: LOAD["waiting"]},
        "tier:server:running:sum": {who: LOAD["running"]},
        "tier:server:cache_usage:ratio": {who: LOAD["cache_ratio"]},
        "tier:server:tokens:rate5m": {
            who | key(direction="input"): ANSWERS * INPUT / STEP_S,
            who | key(direction="output"): ANSWERS * OUTPUT / STEP_S,
        },
        "tier:server:requests:rate5m": {who: ANSWERS / STEP_S},
        "tier:server:latency_seconds:p95_5m": {who: ANSWER["seconds"]},
        "tier:server:ttft_seconds:p95_5m": {who: ANSWER["ttft_seconds"]},
        "tier:server:queue_seconds:p95_5m": {who: ANSWER["queue_seconds"]},
    }


class Asked(NamedTuple):
    """Where a Prometheus is asked, as of when."""

    url: str
    at: float

    def values(self, expr: str) -> Values:
        text = fetch(f"{self.url}/api/v1/query?time={self.at}&query={urllib.parse.quote(expr)}")
        found = json.loads(text)["data"]["result"]
        return {
            frozenset((label, value) for label, value in one["metric"].items() if label != "__name__"): float(
                one["value"][1]
            )
            for one in found
        }


def scraped(text: str, target: Facts, at: float) -> Iterator[str]:
    """The samples of an exposition as a scrape of `target` stores them."""
    added = tuple(target.items())
    for line in text.splitlines():
        if not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            yield f"{stored(series, added)} {value} {at}"


@cache
def stored(series: str, target: tuple[tuple[str, str], ...]) -> str:
    """A series with the labels of its target; empty labels are none."""
    found = re.fullmatch(r"([\w:]+)(?:\{(.*)\})?", series)
    assert found is not None, series
    own = re.findall(r'(\w+)="([^"]*)"', found[2] or "")
    assert not dict(own).keys() & dict(target).keys(), "a scrape would rename a label of the source"
    labels = ",".join(f'{label}="{value}"' for label, value in (*own, *target) if value)
    return f"{found[1]}{{{labels}}}"


def target_of(name: str) -> Facts:
    """The labels that the scrape of a source adds."""
    binding = known_binding(name)
    target = {"job": name, "instance": name}
    if binding.kind == "servers":
        target |= {"server": WHO["server"], **({"model": WHO["model"]} if binding.model_from_target else {})}
    return target


def history(end: float) -> Iterator[str]:
    """What a Prometheus has of every source until `end`. A console sees one provider: there are two of each."""
    clock, happens = [0.0], list(happened())
    targets = []
    for name in SPOKEN:
        binding = known_binding(name)
        for provider in (CLAUDE["provider"], GPT["provider"]) if binding.console else (None,):
            seen = [
                one for one in happens if provider is None or (one[0] == "attempt" and one[1]["provider"] == provider)
            ]
            target = target_of(name) | ({} if provider is None else {"provider": provider, "instance": provider})
            targets.append((spoken_in(binding, clock), seen, target))
    for step in range(STEPS):
        at = clock[0] = end - STEP_S * (STEPS - 1 - step)
        for metrics, seen, target in targets:
            for event, facts, known in seen:
                metrics.count(event, facts, known)
            yield from scraped(exposition(metrics), target, at)
        for name in SPOKEN:
            yield f'up{{job="{name}",instance="{name}"}} 1 {at}'
        for of in (CLAUDE, GPT):
            labels = ",".join(f'{label}="{value}"' for label, value in of.items())
            yield f"tier:gateway:deployment_info{{{labels}}} 1 {at}"
        yield f'tier:calendar:month{{month="11"}} 1 {at}'
        yield f"tier:calendar:tick:seconds {end - 36} {at}"
    yield "# EOF"


@pytest.fixture(scope="module")
def asked(stack: StackBinaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """A Prometheus that has seen every source for seven minutes."""
    folder = tmp_path_factory.mktemp("prometheus")
    end = float(int(time.time()) - 60)
    (folder / "history.om").write_text("\n".join(history(end)) + "\n", encoding="utf-8")
    made = [str(stack.promtool.path), "tsdb", "create-blocks-from", "--max-block-duration=744h", "openmetrics"]
    done = subprocess.run([*made, "history.om", "data"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "prometheus.yml").write_text(yaml.safe_dump({"global": {"scrape_interval": f"{STEP_S}s"}}))
    url = f"http://127.0.0.1:{free_port()}"
    command = [str(stack.prometheus.path), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with running([*command, f"--web.listen-address={url.removeprefix('http://')}"], folder, f"{url}/-/ready"):
        yield Asked(url, end)


def bucket_of(binding: Binding, signal: str, value: float) -> tuple[float, float]:
    """What a quantile can be where it is `value`: of a histogram, anything within the bucket that `value` is in."""
    read = re.findall(r"([\w:]+)_bucket", binding.signals[signal])
    metrics = [binding.metrics[name] for name in read if name in binding.metrics and not binding.metrics[name].older]
    if not metrics:  # quantiles of its own
        return value, value
    per_second = 1000 if "per_second=1000" in binding.signals[signal] else 1
    assert isinstance(metrics[0].buckets, tuple)
    bounds = [0.0, *(bound / per_second for bound in metrics[0].buckets)]
    return next((low, high) for low, high in pairwise(bounds) if low < value <= high)


@pytest.mark.parametrize("name", SPOKEN)
@pytest.mark.stack
def test_its_signals_read_what_happened(asked: Asked, name: str) -> None:
    binding, expected = known_binding(name), expected_of(name)
    expressions = bound_expressions(binding, TIMING, name, SERVICE_LEVEL_S)
    wrong = {}
    for signal, expr in expressions.items():
        found = asked.values(expr)
        if (name, signal) in WITHOUT_DATA:
            assert found == {}
            continue
        wanted = expected[signal]
        assert all({label for label, _ in labels} == set(RECORDED_BY_NAME[signal].labels) for labels in found), signal
        if binding.kind == "gateway" and "_seconds:p" in signal:  # of what took no time there is none
            found = {labels: value for labels, value in found.items() if not math.isnan(value)}
        ranges = {
            labels: bucket_of(binding, signal, value) if re.search(r":p\d\d_5m$", signal) else (value, value)
            for labels, value in wanted.items()
        }
        # Averages of the last minutes differ by a sample between versions of Prometheus.
        slack = 0.03 if signal.endswith(":lead") else 1e-6
        near = found.keys() == wanted.keys() and all(
            low * (1 - slack) - 1e-9 <= found[labels] <= high * (1 + slack) + 1e-9
            for labels, (low, high) in ranges.items()
        )
        if not near:
            wrong[signal] = {"found": found, "expected": ranges}
    assert wrong == {}


@pytest.mark.parametrize("name", TOLD)
def test_the_codes_that_a_source_tells_apart_are_those_that_it_says(name: str) -> None:
    """Blind drills draw no fault that only another code would show."""
    binding = known_binding(name)
    told = {code for code, status in FAILURES if TOLD[name].read(binding, code, status) == code}
    told |= {read for read in told_failures(binding, TOLD[name]) if read}
    assert binding.codes is not None
    assert sorted(binding.codes) == sorted(told)


def test_every_gateway_and_console_is_told_of() -> None:
    assert [name for name in SPOKEN if known_binding(name).kind == "gateway"] == sorted(TOLD)


# A real scrape of each source that there is one of, some in several parts.
REAL = {
    "litellm": ("litellm-proxy-1.106", "litellm-proxy-1.106-failures"),
    "vllm": ("vllm-0.32-under-load",),
    "llamacpp": ("llama-server-0.7.0",),
    "dynamo": ("dynamo-frontend-1.6.1",),
}


class Family(NamedTuple):
    """A metric as an exposition has it."""

    type: str
    labels: frozenset[str]
    bounds: frozenset[float]


def families(text: str) -> dict[str, Family]:
    found = {}
    for family in text_string_to_metric_families(text):
        labels = {label for sample in family.samples for label in sample.labels if not label.startswith("metadata_")}
        bounds = frozenset(float(sample.labels["le"]) for sample in family.samples if "le" in sample.labels)
        if family.samples:
            found[family.name] = Family(family.type, frozenset(labels - {"le"}), bounds)
    return found


@pytest.mark.parametrize("name", REAL)
def test_what_is_spoken_is_what_a_real_one_exposed(name: str) -> None:
    real: dict[str, Family] = {}
    for scrape in REAL[name]:
        real |= families((SCRAPES / f"{scrape}.metrics.txt").read_text(encoding="utf-8"))
    metrics = spoken_in(known_binding(name), [0.0])
    for event, facts, known in happened():
        metrics.count(event, facts, known)
    spoken = families(exposition(metrics))
    _, section = spoken_of(name)
    assert {metric.removesuffix("_total") for metric in section.metrics} <= spoken.keys()
    assert spoken == {family: real.get(family) for family in spoken}

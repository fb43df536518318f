"""Locust's side of a drill: run by `locust -f`, in a process of its own, with TIERCLI_LOAD_PLAN naming its plan. A worker
without one gets it from its master. What lets calls in is in TIERCLI_LOAD_KEYS: header values by tenant, of all others under "";
TIERCLI_LOAD_CA names a file of certificates to check theirs by.

Arrivals are open. A user does not wait for an answer before it starts the next request, so an upstream that stalls does
not throttle the load that proves it stalled.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from bisect import bisect
from itertools import accumulate
from typing import Any, TextIO
from urllib.parse import quote

import gevent
import gevent.ssl
from gevent.pool import Pool
from locust import FastHttpUser, LoadTestShape, events, task
from locust.env import Environment
from locust.runners import MasterRunner, Runner, WorkerRunner

PLAN: dict[str, Any] = {}
_SHARES: list[float] = []
KEYS: dict[str, str] = json.loads(os.environ.get("TIERCLI_LOAD_KEYS", "{}"))
WINDOW_S = 0.5
MESSAGE = "tiercli_window"  # from a worker: what it counted
PLAN_MESSAGE = "tiercli_plan"  # from a worker that has none, and back
# Requests under way at once, over all users. Past it arrivals are not started, and so not counted as started.
MOST_IN_FLIGHT = 2000
ANSWER_WITHIN_S = 30.0
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
LAST_LINES = {"openai": b"data: [DONE]", "anthropic": b"event: message_stop"}
QUESTIONS = 5  # that are asked again and again


def adopt(plan: dict[str, Any]) -> None:
    """Make this the plan."""
    if not plan["mix"]:
        sys.exit("the load plan has no mix")
    PLAN.update(plan)
    _SHARES[:] = accumulate(part["share"] for part in plan["mix"])


def trusted() -> gevent.ssl.SSLContext:
    """What certificates are checked by. A worker elsewhere has its own file."""
    return gevent.ssl.create_default_context(cafile=os.environ.get("TIERCLI_LOAD_CA") or PLAN.get("ca_file"))


def rate_at(at_s: float) -> float:
    """Arrivals per second, linear between the plan's points."""
    before = PLAN["points"][0]
    for point in PLAN["points"]:
        if point[0] > at_s:
            return before[1] + (point[1] - before[1]) * (at_s - before[0]) / (point[0] - before[0])
        before = point
    return before[1]


if "TIERCLI_LOAD_PLAN" in os.environ:
    with open(os.environ["TIERCLI_LOAD_PLAN"], encoding="utf-8") as _stream:
        adopt(json.load(_stream))


class Windows:
    """Counts what happens, and writes a line every half second. Quantiles come from the requests themselves: Locust's
    own lag by ten seconds. With workers, each counts and sends what it counted to the master, which writes."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.by_worker: dict[str, int] = {}  # under way at each worker
        self.begin()

    def begin(self) -> None:
        self.at = time.time()
        self.started = self.succeeded = self.failed = 0
        self.seconds: list[float] = []
        self.first_tokens: list[float] = []
        self.by_alias: dict[str, int] = {}

    def counted(self) -> dict[str, object]:
        """What was counted since the last time, and counting begins anew."""
        names = ("started", "succeeded", "failed", "seconds", "first_tokens", "by_alias", "in_flight")
        found = {name: getattr(self, name) for name in names}
        self.begin()
        return found

    def add(self, counted: dict[str, object], worker: str) -> None:
        """What a worker counted."""
        for name in ("started", "succeeded", "failed", "seconds", "first_tokens"):
            setattr(self, name, getattr(self, name) + counted[name])
        for alias, count in counted["by_alias"].items():
            self.by_alias[alias] = self.by_alias.get(alias, 0) + count
        self.by_worker[worker] = counted["in_flight"]

    def write(self, stream: TextIO, workers: int) -> None:
        now, began, in_flight = time.time(), self.at, self.in_flight + sum(self.by_worker.values())
        counted = self.counted()
        line = {
            "at": now,
            "seconds": now - began,
            "started": counted["started"],
            "succeeded": counted["succeeded"],
            "failed": counted["failed"],
            "p50_s": quantile(counted["seconds"], 0.5),
            "p95_s": quantile(counted["seconds"], 0.95),
            "ttft_p95_s": quantile(counted["first_tokens"], 0.95),
            "in_flight": in_flight,
            "by_alias": counted["by_alias"],
            "workers": workers,
        }
        stream.write(json.dumps(line) + "\n")
        stream.flush()

    def run(self, runner: Runner) -> None:
        if isinstance(runner, WorkerRunner):
            while True:
                gevent.sleep(WINDOW_S)
                runner.send_message(MESSAGE, self.counted())
        with open(PLAN["windows_file"], "a", encoding="utf-8") as stream:
            while True:
                gevent.sleep(WINDOW_S)
                self.write(stream, runner.worker_count if isinstance(runner, MasterRunner) else 0)


def quantile(values: list[float], share: float) -> float | None:
    """The value that `share` of `values` do not exceed, or None without any."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


WINDOWS = Windows()


@events.init.add_listener
def _gather(environment: Environment, **_: object) -> None:
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        runner.register_message(MESSAGE, lambda msg, **_: WINDOWS.add(msg.data, msg.node_id))
        runner.register_message(PLAN_MESSAGE, lambda msg, **_: runner.send_message(PLAN_MESSAGE, PLAN, msg.node_id))
        gevent.signal_handler(signal.SIGTERM, _end_with_workers, runner)
    elif isinstance(runner, WorkerRunner) and not PLAN:
        runner.register_message(PLAN_MESSAGE, lambda msg, **_: adopt(msg.data))
        runner.send_message(PLAN_MESSAGE)


def _end_with_workers(runner: MasterRunner) -> None:
    """Locust itself tells its workers of no SIGTERM when it runs without a page: they would wait a minute for their master."""
    runner.quit()
    os._exit(0)


@events.test_start.add_listener
def _begin(environment: Environment, **_: object) -> None:
    WINDOWS.begin()
    gevent.spawn(WINDOWS.run, environment.runner)


@events.request.add_listener
def _count(response_time: float, exception: object, context: dict[str, float], **_: object) -> None:
    WINDOWS.seconds.append(response_time / 1000)
    if exception is None:
        WINDOWS.succeeded += 1
    else:
        WINDOWS.failed += 1


class Shape(LoadTestShape):
    """All users at once, for as long as the process lives; the rate is theirs to keep, by the plan's points."""

    def tick(self) -> tuple[int, float]:
        return PLAN["users"], min(100, PLAN["users"] * 10)


class Caller(FastHttpUser):
    """Starts its part of the arrivals, with exponential gaps."""

    host = PLAN.get("base_url")
    insecure = False
    ssl_context_factory = staticmethod(trusted)  # Locust checks no certificate unless it is told to
    concurrency = 256
    network_timeout = ANSWER_WITHIN_S
    connection_timeout = ANSWER_WITHIN_S
    max_retries = 0
    max_redirects = 0  # a key goes to nobody else
    _number = 0

    def on_start(self) -> None:
        while not PLAN:  # it is on its way
            gevent.sleep(0.05)
        Caller._number += 1
        # Of two workers none does as the other.
        worker = getattr(self.environment.runner, "worker_index", 0)
        self.random = random.Random(f"{PLAN['seed']}-{worker}-{Caller._number}")
        self.pool = Pool()
        self.began = time.monotonic()
        self.next_at = self.began

    @task
    def arrive(self) -> None:
        rate = rate_at(time.monotonic() - self.began) / PLAN["users"]
        if rate <= 0:
            gevent.sleep(0.05)
            self.next_at = time.monotonic()
            return
        self.next_at += self.random.expovariate(rate)
        gevent.sleep(max(0.0, self.next_at - time.monotonic()))
        if WINDOWS.in_flight < MOST_IN_FLIGHT:
            part = PLAN["mix"][min(bisect(_SHARES, self.random.random()), len(_SHARES) - 1)]
            stream = self.random.random() < PLAN["stream_share"]
            # A gateway may answer these from its cache.
            repeated = not stream and self.random.random() < PLAN["repeat_share"]
            self.pool.spawn(self.call, part, stream, self.random.randrange(QUESTIONS) if repeated else None)

    def call(self, part: dict[str, str], stream: bool, question: int | None) -> None:
        WINDOWS.started += 1
        WINDOWS.in_flight += 1
        alias = part["alias"]
        WINDOWS.by_alias[alias] = WINDOWS.by_alias.get(alias, 0) + 1
        # A gateway knows the alias; a place that is called directly knows its own name of the model.
        places = PLAN.get("endpoints", {}).get(alias)
        place = self.random.choice(places) if places else {"url": PLAN["base_url"], "wire": "openai", "model": alias}
        body, headers = self.request(part, place, stream, question)
        url = place["url"] + PATHS[place["wire"]]
        try:
            if stream:
                self.stream(url, body, headers, alias, place["wire"])
            else:
                self.client.post(url, json=body, headers=headers, name=alias)
        finally:
            WINDOWS.in_flight -= 1

    def request(
        self, part: dict[str, str], place: dict[str, str], stream: bool, question: int | None
    ) -> tuple[dict[str, object], dict[str, str]]:
        """Body and headers of a call."""
        prompt = "word " * PLAN["prompt_tokens"] + ("" if question is None else str(question))
        body: dict[str, object] = {
            "model": place["model"],
            "max_tokens": PLAN["max_tokens"],
            "stream": stream,
            "messages": [{"role": "user", "content": prompt}],
        }
        if question is not None:
            body["temperature"] = 0
        # Header values are ASCII: names of any script travel percent-encoded.
        headers = {f"x-{name}": quote(part[name], safe="") for name in ("tenant", "feature", "alias")}
        if place["wire"] == "anthropic":
            headers["anthropic-version"] = "2023-06-01"
        key = KEYS.get(part["tenant"], KEYS.get(""))
        if key is not None:
            headers["Authorization"] = key
        return body, headers

    def stream(self, url: str, body: dict[str, object], headers: dict[str, str], alias: str, wire: str) -> None:
        """A streamed call: the time to its first token, and a failure where it does not end as its API says."""
        began = time.monotonic()
        with self.client.post(
            url, json=body, headers=headers, name=alias, stream=True, catch_response=True
        ) as response:
            first, done = None, False
            try:
                while response.status_code == 200 and (line := response.stream.readline(b"\n")):
                    if first is None and line.startswith(b"data:"):
                        first = time.monotonic() - began
                    done = done or line.startswith(LAST_LINES[wire])
            except Exception as error:  # whatever breaks a stream is a failed call
                response.failure(f"the stream broke: {error}")
                return
            # Locust's own figure ends with the headers.
            response.request_meta["response_time"] = (time.monotonic() - began) * 1000
            if response.status_code != 200:
                response.failure(f"HTTP {response.status_code}")
            elif not done:
                response.failure("the stream ended without its end")
            else:
                if first is not None:
                    WINDOWS.first_tokens.append(first)
                response.success()

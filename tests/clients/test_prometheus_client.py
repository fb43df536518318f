"""The client of Prometheus against a real prometheus, and against servers that are something else."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from live_servers import http_server

from tiercli.clients.prometheus import PrometheusClient
from tiercli.errors import BackendUnreachable, InvalidInput, QueryRejected

pytestmark = pytest.mark.stack

T = TypeVar("T")


def ask(url: str, question: Callable[[PrometheusClient], Awaitable[T]], timeout_s: float = 5.0) -> T:
    """What a client of `url` answers to `question`."""

    async def asked() -> T:
        async with PrometheusClient(url, timeout_s) as client:
            return await question(client)

    return asyncio.run(asked())


def test_it_says_when_it_is_ready_and_which_version_it_is(prometheus_url: str) -> None:
    assert ask(prometheus_url, lambda client: client.ready())
    assert ask(prometheus_url, lambda client: client.version())[0].isdigit()


def test_an_instant_query_is_a_vector_with_labels_time_and_value(prometheus_url: str) -> None:
    expr = 'sum by (provider) (ai_gateway_requests_total{provider="anthropic"})'
    [sample] = ask(prometheus_url, lambda client: client.query(expr))
    assert (sample.labels, sample.value) == ({"provider": "anthropic"}, 10.0)
    assert abs(sample.at - time.time()) < 60


def test_a_scalar_is_one_sample_without_labels(prometheus_url: str) -> None:
    [sample] = ask(prometheus_url, lambda client: client.query("1 + 1", at=1_700_000_000.25))
    assert (sample.labels, sample.at, sample.value) == ({}, 1_700_000_000.25, 2.0)


@pytest.mark.parametrize(("expr", "value"), [("-1 / 0", -math.inf), ("1 / 0", math.inf)])
def test_infinities_are_numbers(prometheus_url: str, expr: str, value: float) -> None:
    assert [sample.value for sample in ask(prometheus_url, lambda client: client.query(f"vector({expr})"))] == [value]


def test_not_a_number_is_a_number(prometheus_url: str) -> None:
    [sample] = ask(prometheus_url, lambda client: client.query("vector(0 / 0)"))
    assert math.isnan(sample.value)


def test_a_name_comes_back_as_it_was_recorded(prometheus_url: str) -> None:
    [sample] = ask(prometheus_url, lambda client: client.query("tier:test:constant"))
    assert sample.labels["provider"] == 'a"b\\c'


def test_a_range_query_has_a_point_a_step(prometheus_url: str) -> None:
    [series] = ask(prometheus_url, lambda client: client.query_range("vector(3)", 1000.0, 1010.5, 2.5))
    assert series.points == ((1000.0, 3.0), (1002.5, 3.0), (1005.0, 3.0), (1007.5, 3.0), (1010.0, 3.0))


def test_raw_samples_keep_the_times_of_their_scrapes(prometheus_url: str) -> None:
    def question(client: PrometheusClient) -> Awaitable[list]:  # type: ignore[type-arg]
        return client.raw_samples('up{job="gateway"}', 60, time.time())

    deadline = time.monotonic() + 20
    while len((series := ask(prometheus_url, question))[0].points) < 4 and time.monotonic() < deadline:
        time.sleep(0.2)
    times = [at for at, _ in series[0].points]
    assert len(times) >= 4
    assert all(at < later for at, later in itertools.pairwise(times))
    assert 1.0 in {value for _, value in series[0].points}  # a busy machine can miss a scrape, not all of them


def test_alerts_are_those_that_fire(prometheus_url: str) -> None:
    [alert] = ask(prometheus_url, lambda client: client.alerts())
    assert alert.labels == {"alertname": "Burning", "severity": "page"}
    assert (alert.annotations, alert.state, alert.value) == ({"summary": "hot"}, "firing", 7.0)
    assert 0 < time.time() - alert.active_at < 600


def test_labels_series_and_metadata(prometheus_url: str) -> None:
    match = "ai_gateway_requests_total"
    assert ask(prometheus_url, lambda client: client.label_values("provider", match)) == ["anthropic", "vllm"]
    assert "gateway" in ask(prometheus_url, lambda client: client.label_values("job"))
    regions = [one["region"] for one in ask(prometheus_url, lambda client: client.series(match))]
    assert sorted(regions) == ["ap-south-1", "mumbai-dc", "us-east-1"]
    [described] = ask(prometheus_url, lambda client: client.metadata("ai_gateway_request_duration_seconds"))
    assert (described.type, described.help) == ("histogram", "Duration of upstream attempts, seconds.")


def test_a_wrong_query_is_rejected_with_the_reason_of_prometheus(prometheus_url: str) -> None:
    with pytest.raises(QueryRejected, match=r"answered 400: .*parse error"):
        ask(prometheus_url, lambda client: client.query("sum("))


def test_a_vector_where_raw_samples_were_asked_for_is_no_answer(prometheus_url: str) -> None:
    with pytest.raises(BackendUnreachable, match="another shape"):
        ask(prometheus_url, lambda client: client._series("/api/v1/query", {"query": "vector(1)"}))


def test_nobody_there_says_so_without_the_password() -> None:
    url = "http://user:hunter2@127.0.0.1:1/prefix"
    assert not ask(url, lambda client: client.ready())
    with pytest.raises(BackendUnreachable) as caught:
        ask(url, lambda client: client.query("up"))
    assert "127.0.0.1:1/prefix does not answer" in caught.value.message
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_a_server_that_never_answers_is_given_up() -> None:
    def slow(_: str) -> tuple[int, bytes]:
        time.sleep(1)
        return 200, b"{}"

    with http_server(slow) as url, pytest.raises(BackendUnreachable, match="ReadTimeout"):
        ask(url, lambda client: client.query("up"), timeout_s=0.2)


OTHERS = {
    "a web page": (200, b"<html>", "is not prometheus"),
    "a missing page": (404, b"nothing here", "is not prometheus"),
    "JSON of something else": (200, b'{"hello": 1}', "another shape"),
    "a list": (200, b"[]", "another shape"),
    "data of another shape": (200, b'{"data": {"resultType": "vector", "result": [1]}}', "another shape"),
    "bytes that are not text": (200, b"\xff\xfe", "is not prometheus"),
    "a door": (401, b"", "requires authentication"),
}


@pytest.mark.parametrize(("status", "body", "said"), OTHERS.values(), ids=OTHERS)
def test_what_is_not_prometheus_is_said_to_be_something_else(status: int, body: bytes, said: str) -> None:
    with http_server(lambda _: (status, body)) as url, pytest.raises(BackendUnreachable, match=said):
        ask(url, lambda client: client.query("up"))


def test_a_prefix_in_the_url_is_kept() -> None:
    asked: list[str] = []

    def answer(path: str) -> tuple[int, bytes]:
        asked.append(path)
        return 200, json.dumps({"data": {"version": "9.9"}}).encode()

    with http_server(answer) as url:
        assert ask(f"{url}/tools/prometheus/", lambda client: client.version()) == "9.9"
    assert asked == ["/tools/prometheus/api/v1/status/buildinfo"]


@pytest.mark.parametrize("url", ["localhost:9090", "", "ftp://x", "http://", "http://[::1", "http://x:port"])
def test_what_is_not_a_url_is_bad_input(url: str) -> None:
    with pytest.raises(InvalidInput, match="URL"):
        PrometheusClient(url)

"""What the catalog drops at the scrape: told where it is needed, absent from a real Prometheus, left out of the plan, and proposed
by --fix so that the budgets hold."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cardinality.test_plan_exact import series_of
from tests.cardinality.test_vendor_series import estate, exposed_by_target
from tests.clients.live_servers import free_port, http_server, running
from tests.conftest import HYBRID, Done, Tool
from tiercli.cardinality.plan import plan_series
from tiercli.cardinality.scraped_metrics import scraped_metrics
from tiercli.catalog.loading import LoadedCatalog, parse_catalog
from tiercli.clients.prometheus import PrometheusClient
from tiercli.lint.catalog_checks import further_checks
from tiercli.rules.deployment import Deployment
from tiercli.rules.prometheus_config import build_prometheus
from tiercli.sandbox.stack.binaries import StackBinaries
from tiercli.signals.bindings import binding_names, known_binding
from tiercli.signals.exposed import exposed_by

Run = Callable[..., Done]
LITELLM_VLLM = HYBRID.parent / "litellm-vllm.yaml"


def changed(path: Path, cardinality: str = "", total: int = 5000, source: Path = LITELLM_VLLM) -> str:
    """An example with lines below `cardinality`, and a total budget; its path."""
    text = source.read_text(encoding="utf-8").replace("series: 5000", f"series: {total}")
    text = re.sub(r"^  audit: .*\n(    .*\n)+", "", text, flags=re.MULTILINE)
    path.write_text(text.replace("\ncardinality:\n", f"\ncardinality:\n{cardinality}", 1), encoding="utf-8")
    return str(path)


MISTAKES = """\
  drop:
    metrics:
      - vllm:request_decode_time_seconds
      - vllm:e2e_request_latency_seconds
      - litellm_active_user
      - vllm:request_decode_time_seconds
      - tier:provider:requests:rate5m
      - litellm_spend_metric_total
    labels:
      vllm:request_decode_time_seconds: [engine]
      litellm_active_user: [x]
      vllm:request_success_total: [model_name, finished_reason, engine]
      litellm_request_queue_time_seconds: [api_providr, model_id, team_alias, user, user]
"""


def test_everything_that_cannot_be_dropped_is_told_at_its_place(run_tiercli: Run, tmp_path: Path) -> None:
    catalog = changed(tmp_path / "my.yaml", MISTAKES)
    done = run_tiercli("catalog", "validate", catalog)
    assert done.returncode == 2
    lines = Path(catalog).read_text(encoding="utf-8").splitlines()
    said = []
    for text in done.stderr.splitlines()[:-1]:
        _, line, column, found = text.removeprefix(catalog).split(":", 3)
        assert int(column) > 1
        said.append((lines[int(line) - 1].strip().removeprefix("- "), found.split(" (accepted")[0].strip()))
    finished, queue = (lines[lines.index(MISTAKES.splitlines()[number])].strip() for number in (11, 12))
    assert said == [
        ("vllm:e2e_request_latency_seconds", "vllm:e2e_request_latency_seconds cannot be dropped: local/Server latency reads it"),
        ("litellm_active_user", "unknown metric 'litellm_active_user' of the scraped targets; did you mean 'litellm_active_users'?"),
        ("vllm:request_decode_time_seconds", "metric 'vllm:request_decode_time_seconds' is repeated"),
        ("tier:provider:requests:rate5m", said[3][1]),
        ("litellm_spend_metric_total", said[4][1]),
        ("vllm:request_decode_time_seconds: [engine]", "vllm:request_decode_time_seconds is dropped, so it has no labels"),
        ("litellm_active_user: [x]", said[1][1]),
        (finished, "vllm:request_success_total cannot lose 'model_name': local/Requests finished needs it"),
        (finished, "vllm:request_success_total cannot lose 'finished_reason': it has 5 values, and two series could become one"),
        (finished, "vllm:request_success_total cannot lose 'engine': the catalog does not say how many values it has, and two series could become one"),
        (queue, "unknown label 'api_providr' of litellm_request_queue_time_seconds; did you mean 'api_provider'?"),
        (queue, "litellm_request_queue_time_seconds cannot lose 'model_id': it has 4 values, and two series could become one"),
        (queue, "litellm_request_queue_time_seconds cannot lose 'team_alias': calls can have values that the catalog does not know, and two series could become one"),
        (queue, "litellm_request_queue_time_seconds cannot lose 'user': the catalog does not say how many values it has, and two series could become one"),
        (queue, "label 'user' is repeated"),
    ]  # fmt: skip
    assert said[3][1].startswith("unknown metric 'tier:provider:requests:rate5m'")
    # The alarm, the pane and the record between are all found.
    assert said[4][1].startswith("litellm_spend_metric_total cannot be dropped: Drift")
    assert "accepted: cardinality.label_values.engine: 1, if it has one value" in done.stderr


@pytest.mark.parametrize(
    ("drop", "said"),
    [
        ("{metrics: [ai_gateway_local_queue_depth]}", ""),  # the servers' own metrics tell it
        ("{metrics: [ai_gateway_up]}", "ai_gateway_up cannot be dropped: GatewayDown, "),
        ("{labels: {ai_gateway_errors_total: [code]}}", "ai_gateway_errors_total cannot lose 'code': CloudErrorRateHigh"),
        ("{labels: {ai_gateway_response_tokens: [feature]}}", "calls of what the catalog does not know leave it empty"),
        ("{labels: {ai_gateway_response_tokens: []}}", "at least 1"),
        ("{metric: [ai_gateway_up]}", "'metric'"),
    ],
)  # fmt: skip
def test_of_a_gateway_that_has_our_metrics_what_nothing_reads_can_go(
    run_tiercli: Run, tmp_path: Path, drop: str, said: str
) -> None:
    done = run_tiercli("catalog", "validate", changed(tmp_path / "my.yaml", f"  drop: {drop}\n", source=HYBRID))
    assert done.returncode == (2 if said else 0), done.stderr
    assert said in done.stderr


@pytest.mark.parametrize("query", ["panel", "variable"])
def test_what_a_pane_of_ones_own_reads_stays(run_tiercli: Run, tmp_path: Path, query: str) -> None:
    board = {
        "title": "Queues",
        "description": "Queues as the gateway sees them.",
        "order": 90,
        "panels": [
            {
                "id": 1,
                "title": "Depth",
                "type": "timeseries",
                "size": [12, 8],
                "description": "Requests that wait.",
                "queries": [{"expr": "tier:server:queue_depth:sum", "legend": "{{server}}"}],
            }
        ],
    }
    if query == "panel":
        board["panels"][0]["queries"][0]["expr"] = "ai_gateway_local_queue_depth"  # type: ignore[index]
    else:
        board["variables"] = [
            {"name": "server", "label": "Server", "query": "label_values(ai_gateway_local_queue_depth, server)"}
        ]
    (tmp_path / "dashboards").mkdir()
    (tmp_path / "dashboards" / "queues.yml.j2").write_text(yaml.safe_dump(board), encoding="utf-8")
    catalog = changed(tmp_path / "my.yaml", "  drop: {metrics: [ai_gateway_local_queue_depth]}\n", source=HYBRID)
    done = run_tiercli("catalog", "validate", catalog, "--templates", str(tmp_path))
    assert done.returncode == 2
    reader = "queues/Depth reads it" if query == "panel" else "queues/$server reads it"
    assert f"ai_gateway_local_queue_depth cannot be dropped: {reader}" in done.stderr


DROP = """\
  drop:
    metrics: [litellm_request_queue_time_seconds, http_requests_total, DCGM_FI_DEV_DEC_UTIL_RATIO]
    labels: {vllm:num_requests_running: [engine], vllm:request_queue_time_seconds: [engine]}
  label_values: {engine: 1}
"""


def test_promtool_accepts_the_configuration_and_only_the_jobs_that_expose_it_drop_something(
    run_tiercli: Run, promtool: Tool, tmp_path: Path
) -> None:
    done = run_tiercli("generate", changed(tmp_path / "my.yaml", DROP), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    code, output = promtool("check", "config", tmp_path / "out/prometheus/prometheus.yml")
    assert code == 0, output
    for path in ("prometheus/prometheus.yml", "fragments/scrape_configs.yml"):
        configuration = yaml.safe_load((tmp_path / "out" / path).read_text(encoding="utf-8"))
        jobs = {job["job_name"]: job.get("metric_relabel_configs") for job in configuration["scrape_configs"]}
        gateway = "litellm_request_queue_time_seconds"
        parts = "|".join(f"{gateway}{part}" for part in ("", "_bucket", "_sum", "_count", "_created"))
        assert jobs["tiercli-gateway"] == [{"source_labels": ["__name__"], "regex": parts, "action": "drop"}]
        assert [(rule["action"], rule.get("target_label")) for rule in jobs["tiercli-servers"]] == [
            ("drop", None),
            ("replace", "engine"),
        ]
        assert jobs["tiercli-servers"][0]["regex"] == "http_requests_total|http_requests_created"
        assert [rule["regex"] for rule in jobs["tiercli-source-gpus"]] == ["DCGM_FI_DEV_DEC_UTIL_RATIO"]


def test_no_series_belongs_to_two_metrics_of_a_source_so_that_dropping_one_leaves_the_others() -> None:
    for name in binding_names():
        owners: dict[str, set[str]] = {}
        for metric in exposed_by(known_binding(name)):
            for series in metric.series:
                owners.setdefault(series, set()).add(metric.name.replace(":", "_"))  # as some clients write it
        assert {series for series, metrics in owners.items() if len(metrics) > 1} == set(), name


@contextmanager
def scraping(loaded: LoadedCatalog, texts: dict[str, str], stack: StackBinaries, folder: Path) -> Iterator[str]:
    """A Prometheus with the generated scrape jobs, at whose addresses `texts` are exposed."""
    port = free_port()
    with ExitStack() as servers:
        at = {
            address: servers.enter_context(http_server(lambda _, text=text: (200, text.encode()))).removeprefix(
                "http://"
            )  # type: ignore[misc]
            for address, text in texts.items()
        }
        production = Deployment.production(loaded.catalog)
        deployment = dataclasses.replace(
            production,
            timing=dataclasses.replace(production.timing, factor=5),
            gateway_targets=tuple(at[address] for address in production.gateway_targets),
            server_targets=tuple(one._replace(address=at[one.address]) for one in production.server_targets),
            source_targets={
                name: tuple(at[address] for address in targets) for name, targets in production.source_targets.items()
            },
            prometheus_target=f"127.0.0.1:{port}",
        )
        configuration = build_prometheus(loaded.catalog, deployment)
        jobs = {key: configuration[key] for key in ("global", "scrape_configs")}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(jobs), encoding="utf-8")
        arguments = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        arguments.append(f"--web.listen-address=127.0.0.1:{port}")
        with running([str(stack.prometheus.path), *arguments], folder, f"http://127.0.0.1:{port}/-/ready"):
            yield f"http://127.0.0.1:{port}"


def awaited(url: str, exact: dict[str, int], family: Callable[[str], str]) -> dict[str, int]:
    """What there is of these metrics once it is as expected, or a minute is over."""
    until = time.monotonic() + 60
    while True:
        there = series_of(url, family)
        found = {name: there[name] for name in exact}
        if found == exact or time.monotonic() > until:
            return found
        time.sleep(1)


async def labels_of(url: str, *metrics: str) -> list[dict[str, str]]:
    """The labels of every series that these metrics have had, one metric after the other."""
    async with PrometheusClient(url, 30) as client:
        return [labels for metric in metrics for labels in await client.series(metric)]


def test_prometheus_has_nothing_of_a_dropped_metric_and_as_many_series_without_a_label_as_with_it(
    stack: StackBinaries, tmp_path: Path, run_tiercli: Run
) -> None:
    whole = estate(4)
    data: dict[str, Any] = dict(whole.document.value)
    data["cardinality"] = {
        **data["cardinality"],
        "label_values": {"engine": 1, "hashed_api_key": 2},
        "drop": {
            "metrics": [
                "litellm_request_queue_time_seconds",
                "litellm_requests_metric_total",
                "DCGM_FI_DEV_DEC_UTIL_RATIO",
            ],
            "labels": {"vllm:num_requests_running": ["engine"], "vllm:request_queue_time_seconds": ["engine"]},
        },
    }
    loaded = parse_catalog(yaml.safe_dump(data), "random.yaml", further_checks())
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(yaml.safe_dump(data), encoding="utf-8")
    plan = plan_series(loaded.catalog)
    exact = {line.name: line.series for line in plan.lines if line.kind == "vendor"}
    texts = exposed_by_target(loaded)
    servers = [text for address, text in texts.items() if address.endswith(":8000")]
    series = [line for text in servers for line in text.splitlines() if line.startswith("vllm:num_requests_running{")]
    assert series
    assert all("engine=" in line for line in series)
    assert exact["vllm:num_requests_running"] == len(series)
    with scraping(loaded, texts, stack, tmp_path) as url:
        assert awaited(url, exact, scraped_metrics(loaded.catalog).family) == exact
        names = series_of(url, lambda name: name)  # each part of a histogram, and when it was created
        gone = ("litellm_request_queue_time_seconds", "litellm_requests_metric", "DCGM_FI_DEV_DEC_UTIL_RATIO")
        assert [name for name in names if name.startswith(gone)] == []
        labelled = asyncio.run(labels_of(url, "vllm:num_requests_running", "vllm:num_requests_waiting"))
        assert [("engine" in labels, labels["__name__"]) for labels in labelled] == [
            *[(False, "vllm:num_requests_running")] * len(series),
            *[(True, "vllm:num_requests_waiting")] * len(series),
        ]
        done = run_tiercli("budget", str(catalog), "--prometheus", url, "--format", "json")
        said = json.loads(done.stdout)
        assert (done.returncode, said["explained"]) == (0, True), done.stderr
        # A catalog that drops more than the running configuration does.
        data["cardinality"]["drop"]["metrics"] += ["litellm_overhead_latency_metric"]
        catalog.write_text(yaml.safe_dump(data), encoding="utf-8")
        number = exact["litellm_overhead_latency_metric"]
        told = f"litellm_overhead_latency_metric: {number:,} series, though the catalog drops it"
        until = time.monotonic() + 30  # a scrape that takes too long leaves a moment without series
        while told not in (done := run_tiercli("budget", str(catalog), "--prometheus", url)).stderr:
            assert time.monotonic() < until, done
        assert done.returncode == 1


def test_of_what_a_target_exposes_dropped_series_do_not_count(run_tiercli: Run, tmp_path: Path) -> None:
    catalog = changed(tmp_path / "my.yaml", DROP)
    text = "# TYPE http_requests_total counter\n" + "".join(
        f'http_requests_total{{handler="{number}"}} 1\nhttp_requests_created{{handler="{number}"}} 1\n'
        for number in range(3000)
    )
    (tmp_path / "metrics").write_text(f"{text}vllm:num_requests_waiting 1\n", encoding="utf-8")
    done = run_tiercli("budget", catalog, "--metrics", str(tmp_path / "metrics"))
    assert done.returncode == 0, done.stderr
    assert "6,000 more series are dropped at the scrape: http_requests_total" in done.stdout
    said = json.loads(run_tiercli("budget", catalog, "--metrics", str(tmp_path / "metrics"), "--format", "json").stdout)
    assert (said["series"], said["dropped"]) == (1, {"http_requests_total": 6000})
    # Not dropped, they are more than the catalog allows.
    done = run_tiercli("budget", changed(tmp_path / "all.yaml"), "--metrics", str(tmp_path / "metrics"))
    assert done.returncode == 1


def budget(run: Run, catalog: str) -> Any:
    return json.loads(run("budget", catalog, "--format", "json").stdout)


def test_the_plan_is_without_what_is_dropped(run_tiercli: Run, tmp_path: Path) -> None:
    before, after = (
        budget(run_tiercli, changed(tmp_path / "my.yaml", lines)) for lines in ("  label_values: {engine: 1}\n", DROP)
    )
    series, left = ({one["metric"]: one["series"] for one in said["metrics"]} for said in (before, after))
    gone = ["litellm_request_queue_time_seconds", "http_requests_total", "DCGM_FI_DEV_DEC_UTIL_RATIO"]
    assert after["dropped"] == gone
    assert left == {name: count for name, count in series.items() if name not in gone}
    assert before["series"] - after["series"] == sum(series[name] for name in gone)
    targets = [sum(target["series"] for target in said["targets"]) for said in (before, after)]
    assert targets[0] - targets[1] == before["series"] - after["series"]
    labels = {one["metric"]: one["labels"] for one in after["metrics"]}
    assert "engine" not in labels["vllm:num_requests_running"]
    assert "engine" in labels["vllm:num_requests_waiting"]
    done = run_tiercli("budget", str(tmp_path / "my.yaml"), "--explain", "http_requests_total")
    assert (done.returncode, "http_requests_total is dropped at the scrape" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("cardinality", "total", "number"),
    [
        ("", 3238, 9),
        ("  metrics: {http_requests_total: {series: 10, owner: platform, reason: a test}}\n", 5000, 1),
        (
            "  metrics: {http_requests_total: {series: 10, owner: platform, reason: a test}}\n"
            "  drop:\n"
            "    metrics: [vllm:request_decode_time_seconds]\n"
            "    labels: {vllm:num_requests_running: [engine]}\n"
            "  label_values: {engine: 1}\n",
            3238,
            9,
        ),
    ],
)
def test_what_is_proposed_can_be_pasted_and_is_the_least_that_is_enough(
    run_tiercli: Run, tmp_path: Path, cardinality: str, total: int, number: int
) -> None:
    catalog = changed(tmp_path / "my.yaml", cardinality, total)
    assert run_tiercli("budget", catalog).returncode == 1
    done = run_tiercli("budget", catalog, "--fix")
    assert done.returncode == 0, done.stderr
    before = {one["metric"]: one["series"] for one in budget(run_tiercli, catalog)["metrics"]}
    proposed = yaml.safe_load(done.stdout)["drop"]
    new = [name for name in proposed["metrics"] if name in before]
    assert len(new) == number
    for name in new:
        assert f"- {name}   # {before[name]:,} series" in done.stdout
    text = Path(catalog).read_text(encoding="utf-8")
    old = (
        cardinality[cardinality.find("  drop:") : cardinality.find("  label_values")] if "drop:" in cardinality else ""
    )
    pasted = (
        text.replace(old, done.stdout, 1)
        if old
        else text.replace("\ncardinality:\n", f"\ncardinality:\n{done.stdout}", 1)
    )
    Path(catalog).write_text(pasted, encoding="utf-8")
    assert run_tiercli("catalog", "validate", catalog).returncode == 0
    assert run_tiercli("budget", catalog).returncode == 0
    assert "# Nothing more to drop" in run_tiercli("budget", catalog, "--fix").stdout
    # One fewer, even the one that saves least, is not enough.
    least = min(new, key=before.__getitem__)
    fewer = yaml.safe_load(pasted)
    fewer["cardinality"]["drop"]["metrics"].remove(least)
    Path(catalog).write_text(yaml.safe_dump(fewer), encoding="utf-8")
    assert run_tiercli("budget", catalog).returncode == 1


def test_a_proposal_for_a_machine_has_what_each_metric_saves(run_tiercli: Run, tmp_path: Path) -> None:
    catalog = changed(tmp_path / "my.yaml", total=4000)
    said = json.loads(run_tiercli("budget", catalog, "--fix", "--format", "json").stdout)
    assert list(said["saves"]) == said["drop"]["metrics"]
    assert said["before"] - sum(said["saves"].values()) == said["series"] <= said["budget"] == 4000


@pytest.mark.parametrize(
    ("cardinality", "total", "said"),
    [
        ("", 100, "only metrics that are needed are left: all together have "),
        (
            "  metrics: {litellm_spend_metric_total: {series: 3, owner: platform, reason: a test}}\n",
            5000,
            "only metrics that are needed are left: litellm_spend_metric_total has 20 series of 3, read by Drift",
        ),
    ],
)
def test_nothing_is_proposed_where_only_what_is_needed_is_left(
    run_tiercli: Run, tmp_path: Path, cardinality: str, total: int, said: str
) -> None:
    done = run_tiercli("budget", changed(tmp_path / "my.yaml", cardinality, total), "--fix")
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--explain", "up"), "--fix and --explain cannot be used together"),
        (("--metrics", "x", "--prometheus", "http://x"), "--fix and --prometheus and --metrics cannot be used together"),
        (("--format", "sarif"), "--fix has no output in the form sarif"),
    ],
)  # fmt: skip
def test_a_proposal_is_asked_for_alone(run_tiercli: Run, arguments: tuple[str, ...], said: str) -> None:
    done = run_tiercli("budget", str(LITELLM_VLLM), "--fix", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def rows(text: str) -> list[str]:
    """The first words of a table's lines, between its heading and its total."""
    names = [line.split(maxsplit=1)[0] for line in text.splitlines() if line.strip()]
    return names[names.index("metric") + 1 : names.index("all")]


def test_the_largest_twenty_rows_are_shown_and_those_that_are_over_unless_all_are_asked_for(
    run_tiercli: Run, tmp_path: Path
) -> None:
    small = "  metrics: {litellm_deployment_state: {series: 1, owner: platform, reason: a test}}\n"
    catalog = changed(tmp_path / "my.yaml", small)
    every = [one["metric"] for one in budget(run_tiercli, catalog)["metrics"]]
    shown = run_tiercli("budget", catalog).stdout
    first = [name.split(maxsplit=1)[0] for name in every[:20]]
    assert rows(shown) == [*first, "litellm_deployment_state", "…"]
    assert f"… {len(every) - 21} more, --all" in shown
    whole = run_tiercli("budget", catalog, "--all").stdout
    assert rows(whole) == [name.split(maxsplit=1)[0] for name in every]
    assert "--all" not in whole


def test_the_largest_twenty_rows_of_what_is_there_are_shown(run_tiercli: Run, tmp_path: Path) -> None:
    lines = [f"metric_{number:02} 1\n" for number in range(30)]
    (tmp_path / "metrics").write_text("".join(lines), encoding="utf-8")
    asked = ("budget", str(LITELLM_VLLM), "--metrics", str(tmp_path / "metrics"))
    shown = run_tiercli(*asked)
    assert shown.returncode == 0, shown.stderr
    assert len(rows(shown.stdout)) == 21
    assert "… 10 more, --all" in shown.stdout
    assert len(rows(run_tiercli(*asked, "--all").stdout)) == 30
    assert len(json.loads(run_tiercli(*asked, "--format", "json").stdout)["metrics"]) == 30

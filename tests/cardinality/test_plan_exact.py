"""The plan against a real Prometheus: it scrapes every series that a random estate can have, evaluates the generated rules, and
has as many series of each metric as were planned. And why tenants are grouped where they are counted."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from tests.cardinality.test_plan_counts import label_sets
from tests.cardinality.test_vendor_series import estate as vendor_estate
from tests.cardinality.test_vendor_series import exposed_by_target
from tests.cardinality.vendor_exposition import local_texts
from tests.clients.live_servers import Answer, free_port, http_server, running
from tests.conftest import HYBRID, Done
from tests.contract_metrics import ContractMetrics
from tiercli.cardinality.plan import plan_series
from tiercli.cardinality.scraped_metrics import scraped_metrics
from tiercli.catalog.loading import LoadedCatalog, parse_catalog
from tiercli.clients.prometheus import PrometheusClient
from tiercli.lint.catalog_checks import further_checks
from tiercli.lint.rule_series import count_rule_series
from tiercli.output.tree import PROMETHEUS_FILE, RULES_PATH, render_servers
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.deployment import Deployment
from tiercli.sandbox.stack.binaries import StackBinaries
from tiercli.signals.contract import FAILURE, METRICS_BY_NAME, MetricType
from tiercli.signals.label_policy import metric_policies
from tiercli.signals.timing import Timing

Run = Callable[..., Done]
# A week is six seconds, so that baselines are there too; windows are five scrapes.
TIMING = Timing(factor=100_000)
SECONDS = 14.0
# Alarms do not all fire at once; the rest is compared exactly.
AT_MOST = {"ALERTS", "ALERTS_FOR_STATE"}
_RARE = ("errors", "fallbacks", "refusals", "unpriced", "violations", "denials")


def local_provider(noise: random.Random) -> dict[str, Any]:
    """Servers of one's own."""
    return {
        "tier": "local",
        "owner": "platform",
        "binding": "vllm",
        "regions": {"own-dc": {}},
        "models": {"llama": {}},
        "servers": {
            f"node-{number}": {
                "region": "own-dc",
                "models": ["llama"],
                "gpus": noise.randint(1, 4),
                "metrics": f"node-{number}:8000",
            }
            for number in range(noise.randint(1, 3))
        },
    }


def estate(seed: int, *, local: bool) -> LoadedCatalog:
    """A random estate of cloud providers, and with `local` servers of one's own with GPUs, with a random policy that no alarm or
    panel objects to."""
    noise = random.Random(seed)
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
    for gone in ("sources", "alarms"):
        data.pop(gone)
    regions = [f"region-{number}" for number in range(noise.randint(1, 3))]
    data["providers"] = {
        f"cloud-{number}": {
            "tier": "cloud",
            "owner": "platform",
            "regions": {region: {} for region in noise.sample(regions, noise.randint(1, len(regions)))},
            "models": {f"model-{number}-{one}": {} for one in range(noise.randint(1, 2))},
        }
        for number in range(noise.randint(1, 2))
    }
    data["price_book"]["models"] = {
        name: {model: {"input": 1, "output": 2} for model in entry["models"]}
        for name, entry in data["providers"].items()
    }
    offers = [
        {"provider": name, "model": model, "region": region}
        for name, entry in data["providers"].items()
        for model in entry["models"]
        for region in entry["regions"]
    ]
    data["aliases"] = {
        f"alias-{number}": {
            "owner": "content-ai",
            "candidates": noise.sample(offers, noise.randint(1, min(3, len(offers)))),
            **({"eval_baseline": 0.9} if noise.random() < 0.5 else {}),
        }
        for number in range(noise.randint(1, 3))
    }
    data["zones"] = {"everywhere": {"regions": regions}, "anywhere": {}}
    data["tenants"] = {
        f"tenant-{number}": {
            "features": noise.sample(["chat", "search", "summary", "drafting"], noise.randint(1, 3)),
            "budget_usd_per_month": noise.randint(1, 1000),
            "zone": noise.choice(list(data["zones"])),
            **({"aliases": noise.sample(list(data["aliases"]), 1)} if noise.random() < 0.5 else {}),
        }
        for number in range(noise.randint(2, 6))
    }
    if local:
        data["providers"]["vllm"] = local_provider(noise)
        servers = data["providers"]["vllm"]["servers"].values()
        data["sources"] = {
            "gpus": {"binding": "dcgm", "targets": [one["metrics"].replace("8000", "9400") for one in servers]}
        }
        data["zones"]["everywhere"]["regions"].append("own-dc")
        data["aliases"]["alias-0"]["candidates"].append({"provider": "vllm", "model": "llama", "region": "own-dc"})
    data["cardinality"] = {"total": {"series": 100_000, "owner": "platform", "reason": "a test"}, "policy": []}
    tenants = sorted(name for name in METRICS_BY_NAME if "tenant" in METRICS_BY_NAME[name].labels)
    if grouped := noise.sample(tenants, noise.randint(0, len(tenants))):
        where = noise.choice(["gateway", "rules"])
        entry = {"metrics": grouped, "rare_tenants": {"top": noise.randint(where == "rules", 2)}, "where": where}
        data["cardinality"]["policy"].append(entry)
    if noise.random() < 0.5:
        data["cardinality"]["policy"].append({"metrics": ["ai_gateway_response_tokens"], "drop": ["feature"]})
    return parse_catalog(yaml.safe_dump(data), "random.yaml", further_checks())


class Gateway:
    """Exposes every label set that the catalog allows; each scrape sees what has grown since the last."""

    def __init__(self, loaded: LoadedCatalog) -> None:
        catalog = loaded.catalog
        names = tuple(METRICS_BY_NAME)
        self._metrics = ContractMetrics(names, metric_policies(catalog))
        self._sets = [
            (METRICS_BY_NAME[name], dict(zip(METRICS_BY_NAME[name].labels, values, strict=True)))
            for name in names
            for values in sorted(set(label_sets(name, catalog)))
        ]
        self._noise = random.Random(1)

    def expose(self, path: str) -> tuple[int, bytes]:
        """The answer to a scrape."""
        for metric, labels in self._sets:
            rare = any(word in metric.name for word in _RARE) or labels.get("status") == FAILURE
            if metric.type is MetricType.COUNTER:
                # Spend within every budget, few failures: alarms that are quiet leave what is normal behind.
                usual = 2e-4 if rare else 1e-7 if "cost" in metric.name else 200
                self._metrics.count(metric.name, self._noise.uniform(0.9, 1.1) * usual, **labels)
            elif metric.type is MetricType.GAUGE:
                self._metrics.set(metric.name, 0.5, **labels)
            else:
                for value in (0.2, 0.3, 0.4):
                    self._metrics.observe(metric.name, value, **labels)
        return 200, generate_latest(self._metrics.registry)


@contextmanager
def prometheus_of(
    loaded: LoadedCatalog,
    stack: StackBinaries,
    folder: Path,
    answers: Mapping[str, Answer] | None = None,
    timing: Timing = TIMING,
) -> Iterator[str]:
    """A Prometheus of the generated configuration. It scrapes what `answers` has for each address; a gateway that is not in it
    exposes the contract."""
    catalog, port = loaded.catalog, free_port()
    expose = dict(answers or {address: growing(text) for address, text in local_texts(catalog).items()})
    if catalog.gateway.binding == "native":
        expose.setdefault(catalog.gateway.targets[0], Gateway(loaded).expose)
    with ExitStack() as servers:
        at = {
            address: servers.enter_context(http_server(answer)).removeprefix("http://")
            for address, answer in expose.items()
        }
        production = Deployment.production(catalog)
        deployment = dataclasses.replace(
            production,
            timing=timing,
            gateway_targets=tuple(at[address] for address in catalog.gateway.targets),
            server_targets=tuple(one._replace(address=at[one.address]) for one in production.server_targets),
            source_targets={
                name: tuple(at[address] for address in source.targets) for name, source in catalog.sources.items()
            },
            prometheus_target=f"127.0.0.1:{port}",
        )
        tree = render_servers(loaded, deployment, load_alarms(loaded, timing))
        for path in (PROMETHEUS_FILE, RULES_PATH):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(tree[path], encoding="utf-8")
        arguments = [f"--config.file={folder / PROMETHEUS_FILE}", f"--storage.tsdb.path={folder}/data"]
        arguments += [f"--web.listen-address=127.0.0.1:{port}", "--query.lookback-delta=1m"]
        with running([str(stack.prometheus.path), *arguments], folder, f"http://127.0.0.1:{port}/-/ready"):
            yield f"http://127.0.0.1:{port}"


def growing(text: str) -> Answer:
    """Answers scrapes with `text`, in which what is 1 has grown a little more each time."""
    grown = itertools.count(100)

    def expose(_: str) -> tuple[int, bytes]:
        return 200, re.sub(r" 1$", f" {next(grown)}", text, flags=re.MULTILINE).encode()

    return expose


def awaited(url: str, exact: dict[str, int], family: Callable[[str], str]) -> Counter[str]:
    """What is there once it is as expected, or a minute is over."""
    deadline = time.monotonic() + 60
    time.sleep(SECONDS)
    while True:
        there = series_of(url, family)
        if {name: there[name] for name in exact} == exact or time.monotonic() > deadline:
            return there
        time.sleep(3)


def series_of(url: str, family: Callable[[str], str]) -> Counter[str]:
    """How many series of each metric Prometheus has had, by the names that a plan has for them."""

    async def ask() -> list[dict[str, str]]:
        async with PrometheusClient(url, 30) as client:
            return await client.series('{__name__=~".+"}')

    found: Counter[str] = Counter()
    for labels in asyncio.run(ask()):
        name = labels["__name__"]
        base = family(name)
        if name == "up" or name.startswith("scrape_"):
            base = "up and scrape_*"
        found["prometheus_*" if name.startswith("prometheus_") else base] += 1
    return found


# A seed more each time that somebody looks for longer: EXACT_SEEDS=2,5,7 pytest tests/cardinality/test_plan_exact.py
MORE_SEEDS = [int(seed) for seed in os.environ.get("EXACT_SEEDS", "").split(",") if seed]


@pytest.mark.parametrize(("seed", "local"), [(3, False), (8, True), *((seed, seed % 2 == 1) for seed in MORE_SEEDS)])
def test_prometheus_has_as_many_series_of_each_metric_as_are_planned(
    seed: int, local: bool, stack: StackBinaries, tmp_path: Path, run_tiercli: Run
) -> None:
    loaded = estate(seed, local=local)
    planned = {line.name: line.series for line in plan_series(loaded.catalog, count_rule_series(loaded)).lines}
    # Without rules that have nothing to look at.
    exact = {name: count for name, count in planned.items() if count and name not in AT_MOST}
    with prometheus_of(loaded, stack, tmp_path) as url:
        there = awaited(url, exact, scraped_metrics(loaded.catalog).family)
        assert {name: there[name] for name in exact} == exact
        assert set(there) <= set(planned)
        assert all(there[name] <= planned[name] for name in AT_MOST)
        # What the command reports of the same Prometheus.
        (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(loaded.document.value), encoding="utf-8")
        done = run_tiercli("budget", str(tmp_path / "catalog.yaml"), "--prometheus", url, "--format", "json")
        said = json.loads(done.stdout)
        assert (done.returncode, said["explained"], said["strangers"]) == (0, True, [])
        assert said["churn"]["alive"] > 0
        # Those of the servers themselves are lines of the plan, and no metrics of their own in a comparison.
        assert {line["metric"] for line in said["metrics"]} >= {name for name in exact if "*" not in name}
        assert {line["unexplained"] for line in said["metrics"]} == {0}


def test_rules_that_group_tenants_lose_nothing(stack: StackBinaries, tmp_path: Path) -> None:
    policy = "[{metrics: ['ai_gateway_tenant_*'], rare_tenants: {keep: [a$1, 'b.*']}, where: rules}]"
    text = HYBRID.read_text(encoding="utf-8").replace("\naudit:", f"\n  policy: {policy}\n\naudit:")
    text = text.replace("  acme-corp:\n", "  a$1:\n").replace("  globex-media:\n", '  "b.*":\n')
    loaded = parse_catalog(text, "catalog.yaml", further_checks())
    record = "tier:tenant:calls:rate5m"
    with prometheus_of(loaded, stack, tmp_path) as url:
        rules = yaml.safe_load((tmp_path / RULES_PATH).read_text(encoding="utf-8"))
        [grouped] = [
            rule["expr"] for group in rules["groups"] for rule in group["rules"] if rule.get("record") == record
        ]
        whole = f"sum by (region, status) (rate(ai_gateway_tenant_requests_total[{TIMING.window('5m')}]))"

        async def ask(at: float) -> tuple[dict[str, float], dict[str, float], set[str]]:
            async with PrometheusClient(url, 30) as client:
                before = await client.query(whole, at)
                after = await client.query(f"sum by (region, status) ({grouped})", at)
                tenants = await client.query(f"count by (tenant) ({grouped})", at)
            return *({str(one.labels): one.value for one in some} for some in (before, after)), {one.labels.get("tenant", "") for one in tenants}  # type: ignore[return-value]  # fmt: skip

        until = time.monotonic() + 40
        while True:
            before, after, tenants = asyncio.run(ask(time.time()))
            if before or time.monotonic() > until:
                break
            time.sleep(1)
    assert tenants == {"a$1", "b.*", "other", ""}
    assert after == pytest.approx(before)
    assert sum(before.values()) > 0


def test_a_relabelling_that_merges_tenants_loses_samples_and_grouping_where_they_are_counted_does_not(
    stack: StackBinaries, tmp_path: Path
) -> None:
    loaded = parse_catalog(
        HYBRID.read_text(encoding="utf-8").replace(
            "\naudit:",
            "\n  policy: [{metrics: [ai_gateway_tenant_tokens_total], rare_tenants: {keep: [acme-corp]}}]\n\naudit:",
        ),
        "catalog.yaml",
        further_checks(),
    )
    metric = "ai_gateway_tenant_tokens_total"

    def exposing(policies: Any) -> Callable[[str], tuple[int, bytes]]:
        metrics = ContractMetrics((metric,), policies)
        for number, tenant in enumerate(loaded.catalog.tenants):
            metrics.count(metric, 10**number, tenant=tenant, direction="input")
        return lambda _: (200, generate_latest(metrics.registry))

    merge = {"source_labels": ["tenant"], "regex": "globex-media|initech-news|internal-tools", "target_label": "tenant"}
    with http_server(exposing(None)) as raw, http_server(exposing(metric_policies(loaded.catalog))) as grouped:
        jobs = [
            {"job_name": "raw", "static_configs": [{"targets": [raw.removeprefix("http://")]}]},
            {
                "job_name": "merged",
                "static_configs": [{"targets": [raw.removeprefix("http://")]}],
                "metric_relabel_configs": [{**merge, "replacement": "other"}],
            },
            {"job_name": "grouped", "static_configs": [{"targets": [grouped.removeprefix("http://")]}]},
        ]
        configuration = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
        url = f"http://127.0.0.1:{free_port()}"
        arguments = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
        arguments.append(f"--web.listen-address={url.removeprefix('http://')}")
        with running([str(stack.prometheus.path), *arguments], tmp_path, f"{url}/-/ready"):

            async def sums() -> dict[str, float]:
                async with PrometheusClient(url) as client:
                    return {one.labels["job"]: one.value for one in await client.query(f"sum by (job) ({metric})")}

            until = time.monotonic() + 30
            while len(found := asyncio.run(sums())) < 3 and time.monotonic() < until:
                time.sleep(0.5)
    assert found["raw"] == 1111
    assert found["merged"] < 1111  # of three samples with the same labels one is left
    assert found["grouped"] == found["raw"]


@pytest.mark.parametrize("seed", [4, *MORE_SEEDS])
def test_prometheus_has_as_many_series_of_each_vendors_metric_as_are_planned(
    seed: int, stack: StackBinaries, tmp_path: Path, run_tiercli: Run
) -> None:
    loaded = vendor_estate(seed)
    catalog = loaded.catalog
    plan = plan_series(catalog, count_rule_series(loaded))
    planned = {line.name: line.series for line in plan.lines}
    of_rules = {line.name for line in plan.lines if line.kind not in ("vendor", "scrape")}
    exact = {name: count for name, count in planned.items() if name not in of_rules}
    answers = {address: growing(text) for address, text in exposed_by_target(loaded).items()}
    with prometheus_of(loaded, stack, tmp_path, answers) as url:
        there = awaited(url, exact, scraped_metrics(catalog).family)
        assert {name: there[name] for name in exact} == exact
        # A vendor does not tell everything apart that the contract does: not every code, direction or status is there.
        assert {name: there[name] for name in of_rules if there[name] > planned[name]} == {}
        assert there["tier:gpu:utilization:ratio"] == planned["tier:gpu:utilization:ratio"] > 0
        assert there["tier:server:queue_depth:sum"] == planned["tier:server:queue_depth:sum"] > 0
        assert set(there) <= set(planned)
        (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(loaded.document.value), encoding="utf-8")
        done = run_tiercli("budget", str(tmp_path / "catalog.yaml"), "--prometheus", url, "--format", "json")
        said = json.loads(done.stdout)
        assert (done.returncode, said["explained"], said["strangers"]) == (0, True, [])
        of_vendors = {name: count for name, count in exact.items() if name in scraped_metrics(catalog).labels}
        assert {one["metric"]: one["series"] for one in said["metrics"] if one["metric"] in of_vendors} == of_vendors

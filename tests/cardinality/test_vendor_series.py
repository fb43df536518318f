"""What vendors expose, counted: against real scrapes, against label sets built one by one, and by target."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.cardinality.vendor_exposition import as_text, gateway_sets, local_texts
from tests.conftest import HYBRID, Done
from tiercli.cardinality.exposition import read_exposition
from tiercli.cardinality.plan import Plan, plan_series
from tiercli.cardinality.scraped_metrics import scraped_metrics
from tiercli.catalog.loading import LoadedCatalog, parse_catalog
from tiercli.lint.catalog_checks import further_checks
from tiercli.signals.bindings import binding_names, known_binding

Run = Callable[..., Done]
LITELLM_VLLM = HYBRID.parent / "litellm-vllm.yaml"
SCRAPES = Path(__file__).parents[1] / "sources" / "scrapes"


def estate(seed: int) -> LoadedCatalog:
    """LiteLLM before vLLM servers of one's own and a cloud provider, with random aliases, tenants, deployments and GPUs."""
    noise = random.Random(seed)
    data = yaml.safe_load(LITELLM_VLLM.read_text(encoding="utf-8"))
    data.pop("alarms")
    data["sources"].pop("audit")
    data["zones"] = {"anywhere": {}}
    models = [f"model-{number}" for number in range(noise.randint(1, 3))]
    data["providers"]["vllm"]["models"] = {model: {} for model in models}
    data["providers"]["vllm"]["servers"] = {
        f"server-{number}": {
            "region": "frankfurt-dc",
            "models": noise.sample(models, noise.randint(1, len(models))),
            "gpus": noise.randint(1, 3),
            "metrics": f"node-{number}.internal:8000",
        }
        for number in range(noise.randint(1, 3))
    }
    served = {model for server in data["providers"]["vllm"]["servers"].values() for model in server["models"]}
    data["providers"]["vllm"]["models"] = {model: {} for model in sorted(served)}
    data["sources"]["gpus"]["targets"] = [
        server["metrics"].replace("8000", "9400") for server in data["providers"]["vllm"]["servers"].values()
    ]
    offers = [{"provider": "vllm", "model": model, "region": "frankfurt-dc"} for model in sorted(served)]
    offers += [{"provider": "openai", "model": "gpt-5-mini", "region": region} for region in ("eu", "us")]
    data["gateway"]["deployments"] = {
        f"{offer['model']}-{offer['region']}-{copy}": offer for offer in offers for copy in range(noise.randint(1, 2))
    }
    data["aliases"] = {
        f"alias-{number}": {"owner": "platform", "candidates": noise.sample(offers, noise.randint(1, len(offers)))}
        for number in range(noise.randint(1, 3))
    }
    data["tenants"] = {
        f"tenant-{number}": {
            "features": ["chat"],
            "zone": "anywhere",
            "budget_usd_per_month": 100,
            **({"aliases": noise.sample(list(data["aliases"]), 1)} if noise.random() < 0.5 else {}),
        }
        for number in range(noise.randint(1, 4))
    }
    data["cardinality"] = {"total": {"series": 1_000_000, "owner": "platform", "reason": "a test"}}
    if noise.random() < 0.5:
        data["cardinality"]["label_values"] = {"hashed_api_key": 2, "user_agent": 3, "engine": 2, "status_code": 3}
    return parse_catalog(yaml.safe_dump(data), "random.yaml", further_checks())


def exposed_by_target(loaded: LoadedCatalog) -> dict[str, str]:
    """The text of each target of such an estate."""
    catalog = loaded.catalog
    gateway = as_text(known_binding("litellm"), list(gateway_sets(catalog)), 1)
    return {**dict.fromkeys(catalog.gateway.targets, gateway), **local_texts(catalog)}


@pytest.mark.parametrize(
    ("targets", "each"),
    [
        (["node-a:9400", "node-b:9400"], {"node-a:9400": 2, "node-b:9400": 3}),
        # By another name: what is left is its own.
        (["node-a:9400", "10.0.0.2:9400"], {"node-a:9400": 2, "10.0.0.2:9400": 3}),
        (["10.0.0.1:9400", "10.0.0.2:9400"], {"10.0.0.1:9400 10.0.0.2:9400": 5}),
        # Only one of the hosts is looked at.
        (["node-a:9400"], {"node-a:9400": 2}),
    ],
)
def test_every_gpu_that_a_target_can_show_is_counted_once(targets: list[str], each: dict[str, int]) -> None:
    data = yaml.safe_load(LITELLM_VLLM.read_text(encoding="utf-8"))
    servers = data["providers"]["vllm"]["servers"]
    servers["vllm-a"] |= {"gpus": 2, "metrics": "node-a:8000"}
    servers["vllm-b"] |= {"gpus": 3, "metrics": "node-b:8000"}
    data["sources"]["gpus"]["targets"] = targets
    plan = plan_series(parse_catalog(yaml.safe_dump(data), "gpus.yaml", further_checks()).catalog)
    utilization = next(line for line in plan.lines if line.name == "DCGM_FI_DEV_GPU_UTIL_RATIO")
    assert (utilization.series, utilization.one_target) == (sum(each.values()), max(each.values()))
    per_gpu = sum(1 for line in plan.lines if line.name.startswith("DCGM_"))
    found = {" ".join(one.addresses): one.series for one in plan.targets if one.job == "tiercli-source-gpus"}
    assert found == {name: gpus * per_gpu + 5 * len(name.split()) for name, gpus in each.items()}


def vendor_series(plan: Plan) -> Counter[str]:
    return Counter({line.name: line.series for line in plan.lines if line.kind == "vendor"})


@pytest.mark.parametrize("seed", range(20))
def test_as_many_series_are_counted_as_there_are_label_sets_that_can_be_built(seed: int) -> None:
    loaded = estate(seed)
    plan, scraped = plan_series(loaded.catalog), scraped_metrics(loaded.catalog)
    each = {
        address: read_exposition(text.split("\n"), address, scraped)
        for address, text in exposed_by_target(loaded).items()
    }
    assert not any(one.problems for one in each.values())
    assert sum((one.series for one in each.values()), Counter()) == vendor_series(plan)
    by_target = {
        address: target.each
        for target in plan.targets
        for address in target.addresses
        if target.job != "tiercli-prometheus"
    }
    assert by_target == {address: one.series.total() + 5 for address, one in each.items()}


@pytest.mark.parametrize("scrape", ["litellm-proxy-1.106.metrics.txt", "litellm-proxy-1.106-failures.metrics.txt"])
def test_every_series_of_a_real_scrape_of_litellm_is_one_that_is_counted(scrape: str) -> None:
    binding = known_binding("litellm")
    counted = {name: (metric, per_set) for name, metric, per_set in binding.counted()}
    loaded = estate(0)
    with (SCRAPES / scrape).open(encoding="utf-8") as stream:
        exposed = read_exposition(stream, scrape, scraped_metrics(loaded.catalog))
    assert exposed.series.keys() <= counted.keys()
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families((SCRAPES / scrape).read_text(encoding="utf-8")):
        for sample in family.samples:
            own = {label for label in sample.labels if label != "le" and not label.startswith("metadata_")}
            base = scraped_metrics(loaded.catalog).family(sample.name)
            labels.setdefault(base, set()).update(own)
    for name, count in exposed.series.items():
        metric, per_set = counted[name]
        assert set(metric.labels) - set(binding.optional) == labels[name], name
        assert count % per_set == 0, name


def test_every_binding_says_how_many_series_its_metrics_have() -> None:
    for name in binding_names():
        binding = known_binding(name)
        metrics = list(binding.counted())
        assert bool(metrics) == (name != "native"), name
        labels = {label for _, metric, _ in metrics for label in metric.labels}
        assert labels >= binding.label_values.keys(), name
        assert all(metric.buckets for _, metric, _ in metrics if metric.type == "histogram"), name
        assert len({metric for metric, _, _ in metrics}) == len(metrics), name


def json_of(run_tiercli: Run, *arguments: str) -> Any:
    return json.loads(run_tiercli("budget", str(LITELLM_VLLM), "--format", "json", *arguments).stdout)


def test_a_vendor_is_in_the_table_in_the_arithmetic_and_in_what_would_help(run_tiercli: Run) -> None:
    lines = {line["metric"]: line for line in json_of(run_tiercli)["metrics"]}
    # The audit exporter has the contract's metrics, as far as a log has them, on its one target.
    assert lines["ai_gateway_audit_records_total"]["series"] == 1
    assert "ai_gateway_quota_headroom_ratio" not in lines
    failures = lines["litellm_deployment_failure_responses_total"]
    # 3 tenants' (alias, deployment), refused ones too: web-shop has chat on 3 deployments, catalogue has search on 2.
    assert failures["label_sets"] == (3 + 1 + 2 + 1) * 8
    assert (failures["series_per_label_set"], failures["instances"]) == (2, 2)
    unread = lines["litellm_overhead_latency_metric"]["savings"][0]
    assert unread == {"kind": "drop metric", "what": "no signal reads it", "saves": 210, "needed_by": []}
    by_label = {one["what"]: one["needed_by"] for one in failures["savings"]}
    assert "tier:provider:errors:rate5m" in by_label["exception_class"]
    explained = run_tiercli("budget", str(LITELLM_VLLM), "--explain", "vllm:e2e_request_latency_seconds").stdout
    assert "21 buckets + the bucket +Inf + sum + count + created" in explained
    assert "one value for each combination of the others: engine (more: cardinality.label_values)" in explained


def with_cardinality(tmp_path: Path, **changes: Any) -> str:
    data = yaml.safe_load(LITELLM_VLLM.read_text(encoding="utf-8"))
    data["cardinality"] |= changes
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return str(path)


def test_a_budget_of_a_vendors_metric_holds(run_tiercli: Run, tmp_path: Path) -> None:
    budget = {"series": 100, "owner": "platform", "reason": "a test"}
    done = run_tiercli(
        "budget", with_cardinality(tmp_path, metrics={"litellm_overhead_latency_metric": budget}), "--format", "github"
    )
    assert done.returncode == 1
    assert "drop metric (no signal reads it) saves 210" in done.stdout


def test_metrics_and_labels_that_no_source_has_are_refused(run_tiercli: Run, tmp_path: Path) -> None:
    budget = {"series": 100, "owner": "platform", "reason": "a test"}
    catalog = with_cardinality(tmp_path, metrics={"sglang:token_usage": budget}, label_values={"engin": 2})
    done = run_tiercli("budget", catalog)
    assert done.returncode == 2
    assert "unknown metric 'sglang:token_usage' in cardinality" in done.stderr
    assert "unknown label 'engin' in cardinality" in done.stderr
    assert "did you mean 'engine'" in done.stderr


def test_the_text_of_a_vendors_target_is_held_against_the_plan(run_tiercli: Run, tmp_path: Path) -> None:
    loaded = estate(3)
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump(loaded.document.value), encoding="utf-8")
    texts = exposed_by_target(loaded)
    one_of_each = {address.rpartition(":")[2]: (address, text) for address, text in texts.items()}
    for address, text in one_of_each.values():
        (tmp_path / "metrics").write_text(text, encoding="utf-8")
        done = run_tiercli("budget", str(path), "--metrics", str(tmp_path / "metrics"))
        assert done.returncode == 0, (address, done.stdout)
    # Another server's model, a team that the catalog does not have.
    gateway = texts[loaded.catalog.gateway.targets[0]]
    (tmp_path / "metrics").write_text(
        gateway.replace('team_alias="tenant-0"', 'team_alias="stranger"'), encoding="utf-8"
    )
    done = run_tiercli("budget", str(path), "--metrics", str(tmp_path / "metrics"))
    assert done.returncode == 1
    assert "team_alias 'stranger' is not in the catalog" in done.stdout

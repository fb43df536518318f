"""The plan against what real servers exposed: every family is in it, with as many series as there are where the catalog knows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import HYBRID, Done

Run = Callable[..., Done]
SCRAPES = Path(__file__).parents[1] / "sources" / "scrapes"
LITELLM_VLLM = HYBRID.parent / "litellm-vllm.yaml"
# Where the plan has room for more than was scraped: statuses that come with traffic; buckets of tokens, 1, 2, 5, 10, … up to the
# longest prompt, 2,048 in the scrape and 128 k in the plan; threads of a frontend, two in the scrape.
ROOM = {
    "vllm": {
        "http_requests_total": 6,
        "vllm:request_prompt_tokens": 20,
        "vllm:request_generation_tokens": 20,
        "vllm:request_max_num_generation_tokens": 20,
        "vllm:request_params_max_tokens": 20,
        "vllm:request_prefill_kv_computed_tokens": 20,
    },
    "dynamo": {
        "dynamo_frontend_requests_total": 4,
        "dynamo_tokio_worker_busy_ratio": 16,
        "dynamo_tokio_worker_local_queue_depth": 16,
        "dynamo_tokio_worker_mean_poll_time_ns": 16,
        "dynamo_tokio_worker_overflow_count_total": 16,
        "dynamo_tokio_worker_park_count_total": 16,
        "dynamo_tokio_worker_steal_count_total": 16,
    },
}


def compared(run_tiercli: Run, tmp_path: Path, scrape: str, change: Callable[[dict[str, Any]], object]) -> Any:
    """What `tiercli budget --metrics` says of a scrape beside the catalog litellm-vllm, changed."""
    data = yaml.safe_load(LITELLM_VLLM.read_text(encoding="utf-8"))
    data.pop("alarms")
    change(data)
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    done = run_tiercli("budget", str(path), "--metrics", str(SCRAPES / f"{scrape}.metrics.txt"), "--format", "json")
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def one_server(binding: str) -> Callable[[dict[str, Any]], object]:
    """A change of the catalog: one server of the model that the scrapes are of."""

    def change(data: dict[str, Any]) -> None:
        vllm = data["providers"]["vllm"]
        vllm["binding"] = binding
        del vllm["servers"]["vllm-b"]

    return change


@pytest.mark.parametrize(
    ("scrape", "binding"),
    [
        ("vllm-0.32", "vllm"),
        ("vllm-0.32-under-load", "vllm"),
        ("llama-server-0.7.0", "llamacpp"),
        ("dynamo-frontend-1.6.1", "dynamo"),
    ],
)
def test_a_server_exposes_what_is_planned(run_tiercli: Run, tmp_path: Path, scrape: str, binding: str) -> None:
    said = compared(run_tiercli, tmp_path, scrape, one_server(binding))
    assert said["explained"]
    assert [line["metric"] for line in said["metrics"] if line["planned"] is None] == []
    differ = {line["metric"]: line["planned"] for line in said["metrics"] if line["planned"] != line["series"]}
    assert differ == ROOM.get(binding, {})


@pytest.mark.parametrize(
    ("scrape", "deployments"),
    [
        (
            "litellm-proxy-1.106",
            {"fast": "eu-west-1-fast", "flaky": "7a13985f9da45964fe3b0fc18a08d227fe69cc4e75ab4aa8fd4f60c472434262"},
        ),
        ("litellm-proxy-1.106-failures", {"fast": "fast-eu", "flaky": "flaky-us"}),
        (
            "litellm-proxy-1.106-multiworker",
            {"fast": "eu-west-1-fast", "az": "223e18be1a150f9326ccad77e5b44eb2d914315fae0b08471935a40591cf5e6f"},
        ),
    ],
)
def test_a_gateway_exposes_nothing_that_is_not_planned(
    run_tiercli: Run, tmp_path: Path, scrape: str, deployments: dict[str, str]
) -> None:
    def change(data: dict[str, Any]) -> None:
        offer = {"provider": "openai", "model": "gpt-5-mini", "region": "eu"}
        data["gateway"]["deployments"] = dict.fromkeys(deployments.values(), offer)
        data["aliases"] = {alias: {"owner": "platform", "candidates": [offer]} for alias in deployments}
        data["tenants"] = {"acme": {"features": ["chat"], "budget_usd_per_month": 100, "zone": "anywhere"}}
        del data["providers"]["vllm"], data["zones"]["eu-only"], data["sources"]["gpus"]
        # Three unknown keys were tried beside the master key; there were two workers.
        data["cardinality"]["label_values"] = {"hashed_api_key": 4, "pid": 2}

    said = compared(run_tiercli, tmp_path, scrape, change)
    assert said["explained"], said
    assert [line["metric"] for line in said["metrics"] if line["planned"] is None] == []


def test_what_another_version_exposes_is_planned_under_its_name_now(run_tiercli: Run, tmp_path: Path) -> None:
    target = tmp_path / "metrics.txt"
    text = (SCRAPES.parent / "expositions" / "dcgm.txt").read_text(encoding="utf-8")
    target.write_text(f"{text}# TYPE stranger gauge\nstranger 1\n", encoding="utf-8")
    command = ("budget", str(LITELLM_VLLM), "--metrics", str(target))
    other = {
        line["metric"]: line["other_version"]
        for line in json.loads(run_tiercli(*command, "--format", "json").stdout)["metrics"]
    }
    assert (other.pop("stranger"), set(other.values())) == (False, {True})
    lines = run_tiercli(*command).stdout.splitlines()
    assert {line.split()[0] for line in lines if "planned under another version's name" in line} == other.keys()
    assert [line.split()[0] for line in lines if "not in the plan" in line] == ["stranger"]

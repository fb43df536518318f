"""`tiercli sources check`: bindings against what real servers exposed, and against the same after a vendor changed it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scraping import EXPOSITIONS, exposing

from tests.clients.live_servers import free_port
from tests.conftest import Done

Run = Callable[..., Done]
SCRAPES = Path(__file__).parent / "scrapes"
VLLM = (SCRAPES / "vllm-0.32-under-load.metrics.txt").read_text(encoding="utf-8")


def checked(run_tiercli: Run, tmp_path: Path, name: str, text: str, *, holds: bool) -> Any:
    """What is said of a source whose target exposes `text`."""
    path = tmp_path / "metrics.txt"
    path.write_text(text, encoding="utf-8")
    done = run_tiercli("sources", "check", name, "--metrics", str(path), "--format", "json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["holds"]) == ((0, True) if holds else (1, False)), done.stderr
    return said


def differences(said: Any) -> set[tuple[str, ...]]:
    """Each as its kind, what was found and what is expected, and its metrics."""
    return {(one["kind"], one["found"], one["accepted"], *one["metrics"]) for one in said["differences"]}


@pytest.mark.parametrize(
    ("scrape", "name"),
    [
        ("vllm-0.32", "vllm"),
        ("vllm-0.32-under-load", "vllm"),
        ("llama-server-0.7.0", "llamacpp"),
        ("dynamo-frontend-1.6.1", "dynamo"),
        ("litellm-proxy-1.106", "litellm"),
        ("litellm-proxy-1.106-failures", "litellm"),
    ],
)
def test_a_real_one_is_as_its_binding_says(run_tiercli: Run, tmp_path: Path, scrape: str, name: str) -> None:
    text = (SCRAPES / f"{scrape}.metrics.txt").read_text(encoding="utf-8")
    said = checked(run_tiercli, tmp_path, name, text, holds=True)
    assert said["there"] == said["current"]
    # Labels that its operator made up.
    assert {(one["kind"], one["found"]) for one in said["differences"]} == (
        {("new label", "metadata_region"), ("new label", "metadata_tenant")} if name == "litellm" else set()
    )
    shown = run_tiercli("sources", "check", name, "--metrics", str(tmp_path / "metrics.txt")).stdout
    assert f"{said['there']} of {said['current']} metrics of {name} are here" in shown
    assert "✓ every signal can be read" in shown


@pytest.mark.parametrize(("pattern", "replaced", "difference", "unread"), [
    (
        "kv_cache_usage_perc", "kv_cache_usage_ratio",
        ("renamed", "vllm:kv_cache_usage_ratio", "vllm:kv_cache_usage_perc", "vllm:kv_cache_usage_perc"),
        "tier:server:cache_usage:ratio",
    ),
    (
        ".*vllm:num_requests_waiting[ {].*\n", "",
        ("missing", "", "vllm:num_requests_waiting", "vllm:num_requests_waiting"), "tier:server:queue_depth:sum",
    ),
    (
        "# TYPE vllm:request_success_total counter", "# TYPE vllm:request_success_total gauge",
        ("type", "gauge", "counter", "vllm:request_success_total"), "tier:server:requests:rate5m",
    ),
    (
        "(vllm:num_requests_running\\{.*?),?model_name=\"[^\"]*\"", r"\1",
        ("missing label", "", "model_name", "vllm:num_requests_running"), "tier:server:running:sum",
    ),
    # These cost series, and blind nothing.
    (
        "(http_requests_total\\{)", r'\1tenant="a",', ("new label", "tenant", "", "http_requests_total"), None,
    ),
    (
        ".*vllm:request_params_n_bucket.*le=\"20.0\".*\n", "",
        ("buckets", "1, 2, 5, 10", "1, 2, 5, 10, 20", "vllm:request_params_n"), None,
    ),
    (
        "# HELP vllm:engine_sleep", "# TYPE vllm:new_thing counter\nvllm:new_thing 1\n# HELP vllm:engine_sleep",
        ("unknown", "counter, 1 series that the plan does not count", "", "vllm:new_thing"), None,
    ),
    (
        "vllm:num_preemptions", "vllm:num_preempted",
        ("renamed", "vllm:num_preempted_total", "vllm:num_preemptions_total", "vllm:num_preemptions_total"), None,
    ),
])  # fmt: skip
def test_what_a_vendor_changed_is_told_and_fails_where_it_blinds_a_signal(
    run_tiercli: Run, tmp_path: Path, pattern: str, replaced: str, difference: tuple[str, ...], unread: str | None
) -> None:
    text = re.sub(pattern, replaced, VLLM)
    assert text != VLLM
    said = checked(run_tiercli, tmp_path, "vllm", text, holds=unread is None)
    assert differences(said) == {difference}
    assert list(said["unread"]) == ([unread] if unread is not None else [])
    done = run_tiercli("sources", "check", "vllm", "--metrics", str(tmp_path / "metrics.txt"))
    (line,) = [line for line in done.stdout.splitlines() if difference[0] in line]
    assert line.startswith("✗" if unread is not None else "·")
    assert difference[-1] in line
    if unread is not None:
        assert f"1 of 8 signals of vllm cannot be read here: {unread}" in done.stderr


def test_names_that_a_client_escapes_are_the_same(run_tiercli: Run, tmp_path: Path) -> None:
    assert differences(checked(run_tiercli, tmp_path, "vllm", VLLM.replace("vllm:", "vllm_"), holds=True)) == set()


def test_both_versions_of_dcgm_can_be_read(run_tiercli: Run, tmp_path: Path) -> None:
    new = checked(run_tiercli, tmp_path, "dcgm", (EXPOSITIONS / "dcgm-4.9.txt").read_text(), holds=True)
    old = checked(run_tiercli, tmp_path, "dcgm", (EXPOSITIONS / "dcgm.txt").read_text(), holds=True)
    assert new["other_version"] == []
    assert "DCGM_FI_DEV_GPU_UTIL" in old["other_version"]
    assert "DCGM_FI_DEV_GPU_UTIL_RATIO" not in {one["accepted"] for one in old["differences"]}


def test_a_name_cannot_tell_a_terminal_what_to_do(run_tiercli: Run, tmp_path: Path) -> None:
    (tmp_path / "metrics.txt").write_text(f'{VLLM}{{"a\x1b[2J"}} 1\n', encoding="utf-8")
    done = run_tiercli("sources", "check", "vllm", "--metrics", str(tmp_path / "metrics.txt"))
    assert (done.returncode, "\x1b" in done.stdout) == (0, False)
    assert "· unknown       a\\x1b[2J: untyped, 1 series that the plan does not count" in done.stdout


def test_a_share_within_the_service_level_needs_its_bound(run_tiercli: Run, tmp_path: Path) -> None:
    text = (SCRAPES / "litellm-proxy-1.106.metrics.txt").read_text(encoding="utf-8")
    said = checked(
        run_tiercli,
        tmp_path,
        "litellm",
        re.sub(r"litellm_llm_api_latency_metric_bucket\{.*le=\"5.0\".*\n", "", text),
        holds=False,
    )
    assert list(said["unread"]) == ["tier:provider:within_sla:rate5m"]


def test_a_counter_of_rare_events_may_not_be_there_yet(run_tiercli: Run, tmp_path: Path) -> None:
    text = (SCRAPES / "litellm-proxy-1.106.metrics.txt").read_text(encoding="utf-8")
    said = checked(
        run_tiercli, tmp_path, "litellm", re.sub(".*litellm_deployment_failure_responses.*\n", "", text), holds=True
    )
    assert "tier:provider:errors:rate5m" in said["quiet"]


def test_a_live_target_is_read_and_what_cannot_be_read_is_told(run_tiercli: Run, tmp_path: Path) -> None:
    with exposing(VLLM) as address:
        assert run_tiercli("sources", "check", "vllm", "--metrics", f"http://{address}/metrics").returncode == 0
        wrong = run_tiercli("sources", "check", "tgi", "--metrics", f"http://{address}/metrics")
    assert wrong.returncode == 1
    assert "6 of 6 signals of tgi cannot be read here" in wrong.stderr
    assert "more metrics; --format json has them all" in wrong.stdout
    url = f"http://127.0.0.1:{free_port()}/metrics"
    assert run_tiercli("sources", "check", "vllm", "--metrics", url).returncode == 3
    none = run_tiercli("sources", "check", "vllm", "--metrics", str(tmp_path / "none"))
    assert (none.returncode, "No such file" in none.stderr) == (2, True)
    (tmp_path / "bad.txt").write_text("vllm:num_requests_waiting{engine=0} 1\n", encoding="utf-8")
    bad = run_tiercli("sources", "check", "vllm", "--metrics", str(tmp_path / "bad.txt"))
    assert (bad.returncode, "bad.txt:1:34" in bad.stderr) == (2, True), bad.stderr
    unknown = run_tiercli("sources", "check", "vlm", "--metrics", "-")
    assert (unknown.returncode, "did you mean 'vllm'" in unknown.stderr) == (2, True)

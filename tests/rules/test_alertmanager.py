"""Who hears of what: the generated routing under a real amtool, inhibition in a real Alertmanager."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiercli.catalog.loading import LoadedCatalog
from tiercli.output.tree import to_yaml
from tiercli.rules.alarm import Alarm
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.alarm_folders import alarm_paths
from tiercli.rules.alerting import alert_labels
from tiercli.rules.alertmanager import build_alertmanager
from tiercli.rules.deployment import Deployment
from tiercli.rules.receivers import build_receiver
from tiercli.sandbox.stack.binaries import StackBinaries

NAMES = sorted(alarm_paths())
Change = Callable[[Callable[[dict[str, Any]], object]], LoadedCatalog]


def configuration(loaded: LoadedCatalog, **changes: Any) -> dict[str, Any]:
    deployment = replace(Deployment.production(loaded.catalog), **changes)
    return build_alertmanager(loaded.catalog, load_alarms(loaded, deployment.timing), deployment)


@pytest.fixture(scope="module")
def alarms(hybrid: LoadedCatalog) -> dict[str, Alarm]:
    return {alarm.alarm: alarm for alarm in load_alarms(hybrid, Deployment.production(hybrid.catalog).timing)}


@pytest.fixture(scope="module")
def config_file(hybrid: LoadedCatalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("alertmanager") / "alertmanager.yml"
    path.write_text(to_yaml(configuration(hybrid)))
    return path


def receivers(amtool: Any, config_file: Path, labels: Mapping[str, str]) -> str:
    matchers = [f'{name}="{value}"' for name, value in labels.items()]
    code, output = amtool("config", "routes", "test", f"--config.file={config_file}", *matchers)
    assert code == 0, output
    return str(output.splitlines()[0])  # amtool may warn after it


def test_alertmanager_accepts_the_configuration(amtool: Any, config_file: Path) -> None:
    code, output = amtool("check-config", config_file)
    assert code == 0, output
    assert "5 inhibit rules" in output
    assert "5 receivers" in output


@pytest.mark.parametrize("name", NAMES)
def test_every_alarm_reaches_the_receiver_of_its_severity(
    amtool: Any, hybrid: LoadedCatalog, alarms: dict[str, Alarm], config_file: Path, name: str
) -> None:
    labels = {"alertname": name, **alert_labels(hybrid.catalog, alarms[name])}
    assert receivers(amtool, config_file, labels) == getattr(hybrid.catalog.routing, alarms[name].severity)


@pytest.mark.parametrize(
    ("owner", "severity", "receiver"),
    [
        pytest.param("content-ai", "notify", "content-ai-channel", id="an owner's own channel"),
        pytest.param("content-ai", "page", "platform-pager", id="and the common pager, having none of their own"),
        pytest.param("platform", "notify", "platform-channel", id="an owner without a channel of their own"),
        pytest.param("platform", "trend", "dashboards", id="a trend notifies no receiver"),
        pytest.param("platform", "heartbeat", "heartbeat", id="the heartbeat"),
    ],
)
def test_owners_have_receivers_of_their_own(
    amtool: Any, config_file: Path, owner: str, severity: str, receiver: str
) -> None:
    labels = {"alertname": "Any", "owner": owner, "severity": severity}
    assert receivers(amtool, config_file, labels) == receiver


def test_an_overridden_severity_and_owner_are_routed(amtool: Any, changed_hybrid: Change, tmp_path: Path) -> None:
    settings = {"ProviderDown": {"severity": "notify", "owner": "content-ai"}}
    loaded = changed_hybrid(lambda data: data.update(alarms=settings))
    path = tmp_path / "alertmanager.yml"
    path.write_text(to_yaml(configuration(loaded)))
    (down,) = [
        a for a in load_alarms(loaded, Deployment.production(loaded.catalog).timing) if a.alarm == "ProviderDown"
    ]
    labels = {"alertname": "ProviderDown", **alert_labels(loaded.catalog, down)}
    assert receivers(amtool, path, labels) == "content-ai-channel"


def test_an_alarm_with_a_wait_of_its_own_has_a_route_for_it(amtool: Any, hybrid: LoadedCatalog, tmp_path: Path) -> None:
    deployment = Deployment.production(hybrid.catalog)
    alarms = tuple(
        alarm.model_copy(update={"group_wait": "0s", "severity": "notify"}) if alarm.alarm == "ProviderDown" else alarm
        for alarm in load_alarms(hybrid, deployment.timing)
    )
    built = build_alertmanager(hybrid.catalog, alarms, deployment)
    (notify,) = [route for route in built["route"]["routes"] if route["receiver"] == "platform-channel"]
    assert notify["routes"][0]["group_wait"] == "0s"
    path = tmp_path / "alertmanager.yml"
    path.write_text(to_yaml(built))
    assert amtool("check-config", path)[0] == 0
    for owner, receiver in (("content-ai", "content-ai-channel"), ("platform", "platform-channel")):
        labels = {"alertname": "ProviderDown", "severity": "notify", "owner": owner}
        assert receivers(amtool, path, labels) == receiver


def test_groups_by_all_that_says_what_an_alert_is_about(hybrid: LoadedCatalog, alarms: dict[str, Alarm]) -> None:
    group_by = configuration(hybrid)["route"]["group_by"]
    assert group_by[:3] == ["alertname", "estate", "env"]
    assert {label for alarm in alarms.values() for label in alarm.identity} == set(group_by[3:])


def test_waits_pass_through_the_timing(hybrid: LoadedCatalog) -> None:
    timing = replace(Deployment.production(hybrid.catalog).timing, factor=20)
    route = configuration(hybrid, timing=timing)["route"]
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == ("500ms", "3s", "12m")
    heartbeat = route["routes"][0]
    assert (heartbeat["group_wait"], heartbeat["group_interval"], heartbeat["repeat_interval"]) == (
        "0s",
        "3s",
        "1s500ms",
    )


def test_secrets_are_files_where_alertmanager_runs(config_file: Path) -> None:
    built = yaml.safe_load(config_file.read_text())
    keys = set()

    def walk(value: Any) -> None:
        for key, inner in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            keys.add(key)
            walk(inner)

    walk(built["receivers"])
    assert {"routing_key_file", "api_url_file", "credentials_file"} <= keys
    assert not keys & {"routing_key", "service_key", "api_url", "credentials", "bearer_token", "password", "api_key"}


def test_a_sandbox_hears_every_receiver_that_has_an_integration(hybrid: LoadedCatalog) -> None:
    built = configuration(hybrid, receiver_base="http://127.0.0.1:9/receivers")
    urls = {receiver["name"]: receiver.get("webhook_configs", [{}])[0].get("url") for receiver in built["receivers"]}
    assert urls == {
        "content-ai-channel": "http://127.0.0.1:9/receivers/content-ai-channel",
        "dashboards": None,
        "heartbeat": "http://127.0.0.1:9/receivers/heartbeat",
        "platform-channel": "http://127.0.0.1:9/receivers/platform-channel",
        "platform-pager": "http://127.0.0.1:9/receivers/platform-pager",
    }
    assert "secrets" not in to_yaml(built)


def test_what_alertmanager_expands_is_escaped(changed_hybrid: Change, amtool: Any, tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["receivers"]["platform-channel"]["slack"]["channel"] = "#{{ .Secret }}"
        data["receivers"]["heartbeat"]["webhook"]["url"] = "http://hooks.internal/{{ .Secret }}/x".replace(" ", "")

        mail = {"to": "{{ .Secret }}@a.b", "from": "{{ .Secret }}@a.b", "smarthost": "mail:25"}
        data["receivers"]["mail"] = {"email": mail}

    loaded = changed_hybrid(change)
    deployment = Deployment.production(loaded.catalog)
    mail = build_receiver("c", loaded.catalog.receivers["mail"], deployment)["email_configs"][0]
    assert (mail["to"], mail["from"]) == ('{{"{{"}} .Secret }}@a.b',) * 2
    slack = build_receiver("c", loaded.catalog.receivers["platform-channel"], deployment)["slack_configs"][0]
    assert slack["channel"] == '#{{"{{"}} .Secret }}'
    webhook = build_receiver("c", loaded.catalog.receivers["heartbeat"], deployment)["webhook_configs"][0]
    assert webhook["url"] == "http://hooks.internal/%7B%7B.Secret%7D%7D/x"
    (tmp_path / "alertmanager.yml").write_text(to_yaml(configuration(loaded)))
    assert amtool("check-config", tmp_path / "alertmanager.yml")[0] == 0


# Inhibition is judged by a real Alertmanager: (what fires, who of it is held back by the other).
OURS = {"estate": "content-company", "env": "production"}
HERE = {"provider": "anthropic", "region": "ap-south-1"}
ELSEWHERE = {"provider": "anthropic", "region": "us-east-1"}
DOWN = {"alertname": "ProviderDown", "source": "gateway", **OURS, **HERE}
GATEWAY = {"alertname": "GatewayDown", "source": "scrape", **OURS}
INHIBITIONS = [
    pytest.param(DOWN, {"alertname": "ProviderLatencyHigh", "source": "gateway", "model": "m", **OURS, **HERE}, True, id="a dead provider's latency is held back"),
    pytest.param(DOWN, {"alertname": "ProviderErrorRateHigh", "source": "gateway", "model": "m", **OURS, **HERE}, True, id="and its error rate"),
    pytest.param(DOWN, {"alertname": "CloudErrorRateHigh", "source": "gateway", **OURS, **HERE}, True, id="and that of its region"),
    pytest.param(DOWN, {"alertname": "CloudErrorRateHigh", "source": "gateway", **OURS, **ELSEWHERE}, False, id="another region's is not"),
    pytest.param(DOWN, {"alertname": "CloudErrorRateHigh", "source": "gateway", **OURS, "env": "staging", **HERE}, False, id="another environment's is not"),
    pytest.param(DOWN, {"alertname": "GatewayDown", "source": "scrape", **OURS}, False, id="the gateway's own is not"),
    pytest.param({**DOWN, "env": "staging"}, {"alertname": "CloudErrorRateHigh", "source": "gateway", **OURS, **HERE}, False, id="staging never silences production"),
    pytest.param(GATEWAY, DOWN, True, id="without a gateway, what it would have told is held back"),
    pytest.param(GATEWAY, {"alertname": "Watchdog", "source": "prometheus", **OURS}, False, id="the heartbeat is not"),
    pytest.param(GATEWAY, {"alertname": "GpuUtilizationHigh", "source": "gpu", **OURS}, False, id="what GPUs tell is not"),
    pytest.param(GATEWAY, {"alertname": "ForeignAlert", "source": "gateway"}, False, id="somebody else's alert is not, whatever its source"),
]  # fmt: skip


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback server
        return json.load(answer)


def until(ready: Callable[[], Any]) -> Any:
    """What `ready` answers once it is truthy; an environment that never gets there fails the test."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if found := ready():
                return found
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.05)
    raise AssertionError("alertmanager did not answer as awaited")


@contextmanager
def running(stack: StackBinaries, config: Path, folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    flags = ["--cluster.listen-address=", f"--web.listen-address={address}", f"--storage.path={folder}"]
    command = [str(stack.alertmanager.path), f"--config.file={config}", *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: get(f"http://{address}/api/v2/status"))
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.mark.stack
def test_inhibition_holds_back_what_it_should_and_nothing_else(
    stack: StackBinaries, hybrid: LoadedCatalog, tmp_path: Path
) -> None:
    config = tmp_path / "alertmanager.yml"
    config.write_text(to_yaml(configuration(hybrid, receiver_base="http://127.0.0.1:9")))
    with running(stack, config, tmp_path / "data") as url:
        for case in INHIBITIONS:
            source, target, held_back = case.values
            # Each case by itself: what it sends is resolved again before the next.
            parts = {"source": source, "known": SENTINEL, "target": target, "after": SENTINEL_HELD}
            alerts = [{**labels, "part": part} for part, labels in parts.items()]
            send(url, alerts[:2])
            send(url, alerts[2:])
            found = until(lambda: judged(url, len(alerts)))  # noqa: B023 - called before the next round
            assert found["target"] == ("suppressed" if held_back else "active"), case.id
            send(url, alerts, endsAt="2000-01-01T00:00:00Z")
            until(lambda: not get(f"{url}/api/v2/alerts"))


# Alertmanager's inhibitor hears of alerts a moment after the API shows them, and in the order in which they were sent:
# once it holds back the second of these, it has heard of every source that was sent before the first.
SENTINEL = {"alertname": "ProviderDown", "source": "gateway", **OURS, "provider": "sentinel", "region": "sentinel"}
SENTINEL_HELD = {**SENTINEL, "alertname": "ProviderLatencyHigh"}


def judged(url: str, count: int) -> dict[str, str]:
    """The state of each part of a case, once all are there and the inhibitor knows every source."""
    states = {alert["labels"]["part"]: alert["status"]["state"] for alert in get(f"{url}/api/v2/alerts")}
    whole = len(states) == count and "unprocessed" not in states.values()
    return states if whole and states["after"] == "suppressed" else {}


def send(url: str, alerts: list[dict[str, str]], **times: str) -> None:
    post(f"{url}/api/v2/alerts", [{"labels": labels, **times} for labels in alerts])


def post(url: str, content: Any) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(content).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=5):  # noqa: S310
        pass

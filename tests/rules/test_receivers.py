"""Every receiver of a catalog as a real amtool and Alertmanager take it: accepted, delivered, and refused in amtool's words."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import HYBRID, ChangeCatalog, Done, Tool
from tests.rules.test_alertmanager import configuration, post, running, until
from tiercli.catalog.loading import LoadedCatalog
from tiercli.output.tree import to_yaml
from tiercli.sandbox.stack.binaries import StackBinaries

Run = Callable[..., Done]
Change = Callable[[ChangeCatalog], LoadedCatalog]

# A receiver; the version of Alertmanager that it needs; the list of integrations that it becomes.
RECEIVERS: dict[str, tuple[dict[str, Any], tuple[int, int], str]] = {
    "webhook": ({"webhook": {"url": "http://h/x", "credentials_file": "/s/hook"}}, (0, 25), "webhook_configs"),
    "slack": ({"slack": {"api_url_file": "/s/slack", "channel": "#{{x"}}, (0, 25), "slack_configs"),
    "pagerduty": ({"pagerduty": {"routing_key_file": "/s/pagerduty"}}, (0, 25), "pagerduty_configs"),
    "email": ({"email": {"to": "a@b.c, {{x@b.c", "from": "d@b.c", "smarthost": "mail:25", "auth_username": "u", "auth_password_file": "/s/mail"}}, (0, 25), "email_configs"),
    "email without a login": ({"email": {"to": "a@b.c", "from": "d@b.c", "smarthost": "mail:25", "require_tls": False}}, (0, 25), "email_configs"),
    "opsgenie": ({"opsgenie": {"api_key_file": "/s/ops", "priority": "P1", "api_url": "https://api.eu.opsgenie.com/{{x"}}, (0, 25), "opsgenie_configs"),
    "telegram": ({"telegram": {"bot_token_file": "/s/bot", "chat_id": -1001234567890}}, (0, 26), "telegram_configs"),
    "msteams": ({"msteams": {"webhook_url_file": "/s/teams"}}, (0, 28), "msteamsv2_configs"),
    "raw": ({"raw": {"victorops_configs": [{"api_key_file": "/s/vo", "routing_key": "llm"}]}}, (0, 25), "victorops_configs"),
}  # fmt: skip
ROUTES = {"page": "r", "notify": "r", "trend": "r", "heartbeat": "r"}


def with_receivers(**receivers: Any) -> ChangeCatalog:
    """The change to a catalog with only these receivers; all alerts go to the first."""

    def change(data: dict[str, Any]) -> None:
        first = next(iter(receivers))
        data["receivers"], data["routing"] = receivers, dict.fromkeys(ROUTES, first)
        data["owners"] = {name: {"contact": owner["contact"]} for name, owner in data["owners"].items()}

    return change


def written(path: Path, change: ChangeCatalog) -> Path:
    data = yaml.safe_load(HYBRID.read_text())
    change(data)
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


@pytest.mark.parametrize(("receiver", "needs", "key"), RECEIVERS.values(), ids=RECEIVERS)
def test_alertmanager_accepts_every_receiver_from_the_version_that_it_needs(
    changed_hybrid: Change, stack: StackBinaries, amtool: Tool, tmp_path: Path, receiver: Any, needs: Any, key: str
) -> None:
    built = configuration(changed_hybrid(with_receivers(r=receiver)))
    [(entry,)] = [value for name, value in built["receivers"][0].items() if name == key]
    assert entry["send_resolved"] is True
    (tmp_path / "alertmanager.yml").write_text(to_yaml(built))
    code, said = amtool("check-config", tmp_path / "alertmanager.yml")
    version = tuple(int(part) for part in stack.amtool.version.split(".")[:2])
    assert (code == 0) is (version >= needs), said
    assert code == 0 or "not found in type" in said


def test_a_receiver_may_have_several_and_raw_adds_to_them(changed_hybrid: Change, amtool: Tool, tmp_path: Path) -> None:
    hook = {"url": "http://h/b", "send_resolved": False}
    both = {"webhook": {"url": "http://h/a"}, "raw": {"webhook_configs": [hook], "sns_configs": []}}
    built = configuration(changed_hybrid(with_receivers(r=both)))
    assert built["receivers"] == [
        {"name": "r", "webhook_configs": [{"url": "http://h/a", "send_resolved": True}, hook]}
    ]
    (tmp_path / "alertmanager.yml").write_text(to_yaml(built))
    assert amtool("check-config", tmp_path / "alertmanager.yml")[0] == 0


def test_a_sandbox_hears_every_kind_by_one_webhook(changed_hybrid: Change) -> None:
    loaded = changed_hybrid(with_receivers(**{name.replace(" ", "-"): one[0] for name, one in RECEIVERS.items()}))
    for built in configuration(loaded, receiver_base="http://127.0.0.1:9")["receivers"]:
        hook = {"url": f"http://127.0.0.1:9/{built['name']}", "send_resolved": True}
        assert built == {"name": built["name"], "webhook_configs": [hook]}


class Heard(ThreadingHTTPServer):
    """A webhook on loopback that keeps what it receives."""

    def __init__(self) -> None:
        heard: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.heard = heard


@pytest.mark.stack
def test_a_real_alertmanager_delivers_by_raw(changed_hybrid: Change, stack: StackBinaries, tmp_path: Path) -> None:
    with Heard() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        raw = {"raw": {"webhook_configs": [{"url": f"http://127.0.0.1:{server.server_port}/x"}]}}

        def change(data: dict[str, Any]) -> None:
            with_receivers(r=raw)(data)
            data["alertmanager"] = {"group_wait": "0s", "group_interval": "1s"}

        loaded = changed_hybrid(change)
        (tmp_path / "alertmanager.yml").write_text(to_yaml(configuration(loaded)))
        with running(stack, tmp_path / "alertmanager.yml", tmp_path / "data") as url:
            alert = {"labels": {"alertname": "ProviderDown", "severity": "page", "owner": "platform"}}
            post(f"{url}/api/v2/alerts", [alert])
            until(lambda: server.heard)
            post(f"{url}/api/v2/alerts", [{**alert, "endsAt": "2000-01-01T00:00:00Z"}])
            until(lambda: server.heard[-1]["status"] == "resolved")
            with urllib.request.urlopen(f"{url}/metrics") as answer:  # noqa: S310 - our own loopback server
                counted = answer.read().decode()
        server.shutdown()
    assert [(one["receiver"], one["status"]) for one in server.heard] == [("r", "firing"), ("r", "resolved")]
    assert server.heard[0]["alerts"][0]["labels"]["alertname"] == "ProviderDown"
    # A drill reads by these names how many notifications were sent.
    every = changed_hybrid(with_receivers(**{name.replace(" ", "-"): one[0] for name, one in RECEIVERS.items()}))
    version = tuple(int(part) for part in stack.alertmanager.version.split(".")[:2])
    for name, (_, needs, _) in RECEIVERS.items():
        for kind in every.catalog.receivers[name.replace(" ", "-")].kinds():
            assert (f'requests_total{{integration="{kind}"}}' in counted) or version < needs, kind


REFUSED = {
    "an unknown key": ({"victorops_configs": [{"api_key_file": "/x", "routing_key": "a", "bogus": 1}]}, "bogus", "amtool: field bogus not found in type config.plain"),
    "one below others": ({"webhook_configs": [{"url": "http://h/", "http_config": {"tls_config": {"bogus": 1}}}]}, "bogus", "amtool: field bogus not found in type config.plain"),
    "an unknown list": ({"pigeon_configs": [{"to": "roof"}]}, "pigeon_configs", "amtool: field pigeon_configs not found in type config.plain"),
    "a missing key": ({"victorops_configs": [{"api_key_file": "/x"}]}, "api_key_file", "amtool: missing Routing key in VictorOps config"),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "at", "said"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("command", [("catalog", "validate"), ("generate", "--out", "{out}")], ids=" ".join)
def test_what_alertmanager_refuses_of_raw_is_told_at_its_place_in_amtools_words(
    run_tiercli: Run, tmp_path: Path, command: tuple[str, ...], raw: Any, at: str, said: str
) -> None:
    path = written(tmp_path / "c.yaml", with_receivers(good=RECEIVERS["raw"][0], r={"raw": raw}))
    arguments = [part.format(out=tmp_path / "out") for part in command]
    done = run_tiercli(*arguments, str(path))
    lines = path.read_text().splitlines()
    [number] = [number for number, line in enumerate(lines, 1) if f"{at}:" in line and number > lines.index("  r:")]
    assert done.returncode == 2
    [problem, _] = done.stderr.splitlines()
    assert problem.startswith(
        f"{path}:{number}:{lines[number - 1].index(at) + 1}: {said} (accepted: what Alertmanager "
    )
    assert not (tmp_path / "out").exists()


def test_everything_wrong_with_raw_is_told_at_once(run_tiercli: Run, tmp_path: Path) -> None:
    broken = [
        {"api_key_file": "/x"},
        {"api_key_file": "/x", "routing_key": "a", "b1": 1, "b2": 2},
        {"api_key": "s3cr3t"},
    ]
    path = written(tmp_path / "c.yaml", with_receivers(r={"raw": {"victorops_configs": broken}}))
    done = run_tiercli("generate", str(path), "--out", str(tmp_path / "out"), "--wrap", "kubernetes")
    assert done.returncode == 2
    for said in (
        "receiver 'r' has `raw`, which --wrap kubernetes cannot take over",
        "amtool: missing Routing key in VictorOps config",
        "amtool: field b1 not found",
        "amtool: field b2 not found",
        "api_key of victorops_configs looks like a secret",
    ):
        assert done.stderr.count(said) == 1, done.stderr
    assert "error: " in done.stderr
    assert "5 problems" in done.stderr
    assert "s3cr3t" not in done.stderr


def test_without_amtool_a_raw_receiver_is_generated_unasked(
    run_tiercli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "c.yaml", with_receivers(r={"raw": {"pigeon_configs": [{"to": "roof"}]}}))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for program in ("PROMETHEUS", "PROMTOOL", "ALERTMANAGER", "AMTOOL"):
        monkeypatch.delenv(f"TIERCLI_{program}", raising=False)
    assert run_tiercli("catalog", "validate", str(path)).returncode == 0


def test_the_list_and_the_runbook_of_an_alarm_say_who_is_told(run_tiercli: Run, tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["receivers"]["platform-pager"]["opsgenie"] = {"api_key_file": "/x"}
        data["receivers"]["rota"] = RECEIVERS["raw"][0]
        data["owners"]["content-ai"]["page"] = "rota"
        data["alarms"]["ProviderDown"] = {"overrides": [{"provider": "openai", "owner": "content-ai"}]}

    path = str(written(tmp_path / "c.yaml", change))
    listed = json.loads(run_tiercli("alarms", "list", path, "--format", "json").stdout)["alarms"]
    told = {alarm["alarm"]: alarm["receivers"] for alarm in listed}
    assert told["ProviderDown"] == ["platform-pager", "rota"]
    assert told["Drift"] == ["dashboards"]
    assert told["Watchdog"] == ["heartbeat"]
    text = run_tiercli("alarms", "list", path).stdout
    assert "told     platform-pager (PagerDuty, Opsgenie), rota (victorops)" in text
    assert "told     dashboards (notifies nobody)" in text
    runbook = run_tiercli("alarms", "show", "ProviderDown", path).stdout
    assert "| Told | platform-pager (PagerDuty, Opsgenie), rota (victorops) |" in runbook

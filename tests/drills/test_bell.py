"""The fire bell on a real Alertmanager: who hears it, and what it says of routes, receivers and silences that are not right."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.clients.live_servers import free_port, running
from tests.conftest import HYBRID, Done
from tiercli.catalog.loading import load_catalog
from tiercli.lint.catalog_checks import further_checks
from tiercli.output.tree import render_tree
from tiercli.rules.deployment import Deployment
from tiercli.sandbox.stack.binaries import StackBinaries

Run = Callable[..., Done]
CONFIG = "alertmanager/alertmanager.yml"


class Pager:
    """A webhook that remembers what it was told; it answers with `status`, and to a receiver's next requests with its `statuses`."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str, str]] = []  # receiver, severity, owner, status
        self.status = 200
        self.statuses: dict[str, Iterator[int]] = {}


@contextmanager
def pager() -> Iterator[tuple[Pager, str]]:
    one = Pager()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for alert in content["alerts"]:
                labels = alert["labels"]
                one.told.append((content["receiver"], labels["severity"], labels["owner"], alert["status"]))
                assert alert["annotations"]["summary"].startswith("TEST, nothing is wrong")
            self.send_response(next(one.statuses.get(content["receiver"], iter(())), one.status))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield one, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def estate(
    stack: StackBinaries, folder: Path, edit: Callable[[dict[str, Any]], None] = lambda configuration: None
) -> Iterator[tuple[Path, Pager, str]]:
    """A catalog whose receivers are webhooks, its generated configuration in a real Alertmanager; the catalog's file."""
    with pager() as (one, url):
        data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
        data["receivers"] = {
            name: {"webhook": {"url": f"{url}/{name}"}} if receiver else {}
            for name, receiver in data["receivers"].items()
        }
        data["alertmanager"] |= {"group_wait": "1s", "group_interval": "1s"}
        port = free_port()
        data["environments"] = {
            "staging": {"alertmanager": {"url": f"http://127.0.0.1:{port}"}},
            "blank": {},
            "locked": {
                "alertmanager": {"url": f"http://127.0.0.1:{port}", "credential": {"env": "NO_SUCH_VARIABLE_HERE"}}
            },
        }
        catalog = folder / "catalog.yaml"
        catalog.write_text(yaml.safe_dump(data), encoding="utf-8")
        loaded = load_catalog(catalog, further_checks())
        configuration = yaml.safe_load(render_tree(loaded, Deployment.production(loaded.catalog))[CONFIG])
        edit(configuration)
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
        command = [
            str(stack.alertmanager.path),
            f"--config.file={folder / 'alertmanager.yml'}",
            "--cluster.listen-address=",
        ]
        command += [f"--storage.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
        with running(command, folder, f"http://127.0.0.1:{port}/-/ready"):
            yield catalog, one, f"http://127.0.0.1:{port}"


def rings(run_tiercli: Run, catalog: Path, *more: str, env: str = "staging") -> Done:
    return run_tiercli("drill", "bell", "--env", env, "--catalog", str(catalog), *more)


def test_every_receiver_hears_its_bell_and_nothing_is_left(
    stack: StackBinaries, tmp_path: Path, run_tiercli: Run
) -> None:
    with estate(stack, tmp_path) as (catalog, one, url):
        done = rings(run_tiercli, catalog, "--format", "json")
        said = json.loads(done.stdout)
        assert (done.returncode, said["passed"]) == (0, True), done.stderr
        owners = list(yaml.safe_load(catalog.read_text())["owners"])
        assert len(said["rung"]) == 3 * len(owners)
        firing = {entry[:3] for entry in one.told if entry[3] == "firing"}
        assert {("platform-pager", "page", owner) for owner in owners} <= firing
        assert not [entry for entry in firing if entry[1] == "trend"]  # kept in Alertmanager, as the catalog says
        assert httpx.get(f"{url}/api/v2/alerts", trust_env=False).json() == []
        deadline = time.monotonic() + 20
        while {entry[:3] for entry in one.told if entry[3] == "resolved"} != firing and time.monotonic() < deadline:
            time.sleep(0.2)
        assert {entry[:3] for entry in one.told if entry[3] == "resolved"} == firing


def test_a_bell_that_is_routed_elsewhere_is_said(stack: StackBinaries, tmp_path: Path, run_tiercli: Run) -> None:
    def lose_pages(configuration: dict[str, Any]) -> None:
        for route in configuration["route"]["routes"]:
            if 'severity="page"' in route["matchers"]:
                route["receiver"] = "platform-channel"
                route.pop("routes", None)

    with estate(stack, tmp_path, lose_pages) as (catalog, _, _):
        done = rings(run_tiercli, catalog, "--severity", "page", "--owner", "platform", "--within", "4")
        assert done.returncode == 1
        assert "it is routed to platform-channel, not to platform-pager" in done.stderr


def test_a_receiver_that_takes_nothing_is_said(stack: StackBinaries, tmp_path: Path, run_tiercli: Run) -> None:
    with estate(stack, tmp_path) as (catalog, one, _):
        one.status = 400  # which Alertmanager does not send again
        done = rings(run_tiercli, catalog, "--severity", "page", "--within", "5")
        assert done.returncode == 1
        assert "webhook failed to send" in done.stderr


def by_owner(configuration: dict[str, Any]) -> None:
    """A notification of its own for each owner, so that one receiver is told more than once."""
    configuration["route"]["group_by"] = ["severity", "owner"]


@pytest.mark.parametrize(
    ("severities", "edit", "said"),
    [
        (
            ("notify",),
            lambda configuration: None,
            "notify of content-ai: only 1 of 2 notifications were sent by webhook",
        ),
        (("notify", "page"), by_owner, "notify of content-ai: only 3 of 4 notifications were sent by webhook"),
    ],
    ids=["two receivers", "a receiver that is told twice"],
)
def test_a_receiver_that_takes_nothing_is_said_where_another_takes_it_by_the_same_integration(
    stack: StackBinaries,
    tmp_path: Path,
    run_tiercli: Run,
    severities: tuple[str, ...],
    edit: Callable[[dict[str, Any]], None],
    said: str,
) -> None:
    with estate(stack, tmp_path, edit) as (catalog, one, _):
        one.statuses["content-ai-channel"] = itertools.repeat(400)
        chosen = [argument for severity in severities for argument in ("--severity", severity)]
        done = rings(run_tiercli, catalog, *chosen, "--within", "4")
        assert done.returncode == 1
        assert said in done.stderr
        assert "webhook failed to send" in done.stderr


def test_a_failure_that_was_made_good_is_none(stack: StackBinaries, tmp_path: Path, run_tiercli: Run) -> None:
    with estate(stack, tmp_path) as (catalog, one, _):
        one.statuses["content-ai-channel"] = iter([500])  # which Alertmanager sends again
        done = rings(run_tiercli, catalog, "--severity", "notify", "--within", "30")
        assert done.returncode == 0, done.stderr
        assert [told[0] for told in one.told if told[3] == "firing"].count("content-ai-channel") == 2


def test_a_bell_that_is_not_sent_in_time_has_not_passed(stack: StackBinaries, tmp_path: Path, run_tiercli: Run) -> None:
    def wait_long(configuration: dict[str, Any]) -> None:
        configuration["route"]["group_wait"] = "1m"

    with estate(stack, tmp_path, wait_long) as (catalog, one, _):
        done = rings(run_tiercli, catalog, "--severity", "page", "--within", "3", "--format", "json")
        assert (done.returncode, json.loads(done.stdout)["passed"]) == (1, False)
        assert "nothing was sent by webhook" in done.stderr
        assert one.told == []


def test_a_silence_that_holds_it_back_is_said(stack: StackBinaries, tmp_path: Path, run_tiercli: Run) -> None:
    with estate(stack, tmp_path) as (catalog, _, url):
        now = time.time()
        times = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) for at in (now - 5, now + 600)]
        matcher = {"name": "severity", "value": "page", "isRegex": False}
        silence = {"matchers": [matcher], "startsAt": times[0], "endsAt": times[1], "createdBy": "x", "comment": "x"}
        assert httpx.post(f"{url}/api/v2/silences", json=silence, trust_env=False).status_code == 200
        done = rings(run_tiercli, catalog, "--severity", "page", "--within", "4")
        assert done.returncode == 1
        assert "a silence holds it back" in done.stderr


def test_what_keeps_it_from_ringing_is_said_before_anything_rings(
    stack: StackBinaries, tmp_path: Path, run_tiercli: Run
) -> None:
    with estate(stack, tmp_path) as (catalog, one, _):
        for env, more, said in (
            ("stagin", (), "unknown environment 'stagin'; did you mean 'staging'?"),
            ("blank", (), "environment 'blank' names no alertmanager"),
            ("locked", (), "the environment variable NO_SUCH_VARIABLE_HERE is not set"),
            ("staging", ("--severity", "pager"), "unknown severity 'pager'; did you mean 'page'?"),
            ("staging", ("--owner", "nobody"), "unknown owner 'nobody'"),
        ):
            done = rings(run_tiercli, catalog, *more, env=env)
            assert done.returncode == 2, (env, more, done.stderr)
            assert said in done.stderr
        dry = rings(run_tiercli, catalog, "--dry-run", "--severity", "trend")
        assert dry.returncode == 0
        assert "no integration: kept in Alertmanager" in dry.stdout
        assert one.told == []


def test_an_alertmanager_that_is_not_there_is_no_verdict(tmp_path: Path, run_tiercli: Run) -> None:
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
    data["environments"] = {"staging": {"alertmanager": {"url": f"http://127.0.0.1:{free_port()}"}}}
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(yaml.safe_dump(data), encoding="utf-8")
    assert rings(run_tiercli, catalog).returncode == 3


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ({"url": "https://user:secret@x"}, "environments.staging.alertmanager.url"),
        ({"url": "http://x", "credential": {}}, "in an environment variable (env) or in a file (file): name one"),
        ({"url": "http://x", "credential": {"env": "A", "file": "b"}}, "name one"),
        ({"url": "http://x", "ca_file": "missing.pem"}, "missing.pem"),
        ({"url": "http://x", "credential": {"file": "missing"}}, "missing"),
    ],
)
def test_an_environment_that_cannot_be_is_refused(
    endpoint: dict[str, Any], said: str, tmp_path: Path, run_tiercli: Run
) -> None:
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
    data["environments"] = {"staging": {"alertmanager": endpoint}}
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(yaml.safe_dump(data), encoding="utf-8")
    done = rings(run_tiercli, catalog)
    assert done.returncode == 2
    assert said in done.stderr
    assert "secret" not in done.stderr.replace("the secret", "").replace("a secret", "")

"""Everything that can cause a fault, each with a catalog that names it, one fault, and whether that is on."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.conftest import HYBRID, ROOT
from tests.faults.environment.loopback import Asked, serving
from tests.faults.environment.toxiproxy_fake import fake_toxiproxy
from tiercli.catalog.loading import load_catalog
from tiercli.faults.environment.live import LiveInjectors

SECRET = "a-secret-that-nobody-may-read"
SECRET_VARIABLE = "TIERCLI_TEST_INJECTOR_TOKEN"
MUMBAI = {"provider": "anthropic", "region": "ap-south-1"}
Use = tuple[str, dict[str, str], dict[str, Any]]


@dataclass
class Stand:
    """`uses`: what can be brought about here, the first of which `is_on` tells of."""

    catalog: Path
    uses: list[Use]
    is_on: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.catalog.parent


def write_catalog(folder: Path, injectors: Mapping[str, Any], **more: Any) -> Path:
    """hybrid.yaml with an environment that has these injectors."""
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
    data["environments"] = {"staging": {"injectors": dict(injectors), **more}}
    path = folder / "catalog.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path


def injectors_of(catalog: Path, tiers: Mapping[str, str] | None = None) -> LiveInjectors:
    """The injectors of a catalog that `write_catalog` wrote."""
    loaded = load_catalog(catalog)
    environment, locate = loaded.catalog.environments["staging"], loaded.document.locate
    return LiveInjectors(
        environment, "staging", catalog.parent, locate, tiers=tiers, note_folder=catalog.parent / "run"
    )


def eventually(what: Callable[[], bool], seconds: float = 20) -> None:
    """Return once `what` is true; fail after a bound that a busy machine does not reach."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.05)


@contextmanager
def proxy_stand(folder: Path) -> Iterator[Stand]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        route_port, control_port = one.getsockname()[1], two.getsockname()[1]
    (folder / "token").write_text(SECRET)
    labels = {**MUMBAI, "tier": "cloud"}
    route = {"name": "mumbai", "port": route_port, "upstream": f"http://127.0.0.1:{control_port}", "labels": labels}
    plan = {"proxy": {"control_port": control_port, "token_file": str(folder / "token"), "routes": [route]}}
    (folder / "plan.json").write_text(json.dumps(plan))
    command = [sys.executable, "-m", "tiercli.faults.proxy.process", "--plan", str(folder / "plan.json")]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        eventually(lambda: listens(control_port))
        injectors = {"proxy": {"url": f"http://127.0.0.1:{control_port}", "credential": {"file": "token"}}}
        uses: list[Use] = [("outage", MUMBAI, {}), ("errors", MUMBAI, {"share": 0.5})]
        yield Stand(write_catalog(folder, injectors), uses, lambda: not listens(route_port))
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def toxiproxy_stand(folder: Path) -> Iterator[Stand]:
    """A fake of Toxiproxy."""
    with fake_toxiproxy("claude-mumbai", "other") as fake:
        yield toxiproxy_at(folder, fake.url, "claude-mumbai")


@contextmanager
def real_toxiproxy_stand(folder: Path) -> Iterator[Stand]:
    """Toxiproxy itself, with an HTTP server behind it."""
    with serving(lambda asked: (200, '"pong"')) as upstream, real_toxiproxy() as url:
        proxy = {"name": "claude-mumbai", "listen": "127.0.0.1:0", "upstream": upstream.removeprefix("http://")}
        assert httpx.post(f"{url}/proxies", json=proxy, trust_env=False).status_code == 201
        yield toxiproxy_at(folder, url, "claude-mumbai")


@contextmanager
def real_toxiproxy() -> Iterator[str]:
    """The URL of a Toxiproxy of its own: the program that TIERCLI_TOXIPROXY names, as make test-toxiproxy does."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    program = os.environ.get("TIERCLI_TOXIPROXY")
    if program is None:
        pytest.fail("make test-toxiproxy gets a Toxiproxy and runs this")
    command = [program, "-host", "127.0.0.1", "-port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: listens(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(20)


def toxiproxy_at(folder: Path, url: str, name: str) -> Stand:
    catalog = write_catalog(folder, {"toxiproxy": {"url": url, "proxies": {name: MUMBAI}}})

    def is_on() -> bool:
        proxy = httpx.get(f"{url}/proxies", trust_env=False).json()[name]
        return bool(proxy["toxics"]) or not proxy["enabled"]

    uses: list[Use] = [
        ("outage", MUMBAI, {}),
        ("outage", MUMBAI, {"mode": "reset"}),
        ("blackhole", MUMBAI, {}),
        ("latency", MUMBAI, {"seconds": 0.5}),
    ]
    return Stand(catalog, uses, is_on)


@contextmanager
def command_stand(folder: Path) -> Iterator[Stand]:
    commands = [
        {"fault": "gateway-down", "on": ["touch", "down"], "off": ["rm", "-f", "down"]},
        {"fault": "replica-down", "on": ["touch", "one-down"], "off": ["rm", "-f", "one-down"]},
    ]
    uses: list[Use] = [("gateway-down", {}, {}), ("replica-down", {}, {"instances": 2})]
    yield Stand(write_catalog(folder, {"commands": commands}), uses, (folder / "down").exists)


class Deployment:
    """What a hook steers. `broken`: the status of every answer, while it is not 0; `on_is_broken`: of those that turn it on."""

    def __init__(self) -> None:
        self.down = False
        self.broken = 0
        self.on_is_broken = 0
        self.asked: list[Asked] = []

    def answer(self, asked: Asked) -> tuple[int, str]:
        """Scale to zero, or back. Who breaks repeats the request, credential and all, as debugging pages do."""
        self.asked.append(asked)
        if asked.headers.get("Authorization") != f"Bearer {SECRET}":
            return 401, '"who are you?"'
        broken = self.broken or (self.on_is_broken if asked.body == '{"replicas": 0}' else 0)
        if broken:
            return broken, json.dumps({"request": dict(asked.headers)})
        self.down = asked.body == '{"replicas": 0}'
        return 204, ""


@contextmanager
def hook_stand(folder: Path, deployment: Deployment | None = None) -> Iterator[Stand]:
    deployment = deployment or Deployment()
    with serving(deployment.answer) as url:
        call = {"url": f"{url}/scale", "method": "PATCH", "credential": {"env": SECRET_VARIABLE}}
        hook = {
            "fault": "gateway-down",
            "within": "5s",
            "on": {**call, "body": '{"replicas": 0}'},
            "off": {**call, "body": '{"replicas": 2}'},
        }
        catalog = write_catalog(folder, {"hooks": [hook]})
        uses: list[Use] = [("gateway-down", {}, {})]
        yield Stand(catalog, uses, lambda: deployment.down, {SECRET_VARIABLE: SECRET})


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

"""What is said before a drill touches an environment: what it would do and cost, and everything that is wrong. No drill is run."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import yaml

from tests.conftest import Done, tiercli_here
from tests.drills.live_stand import Stand, live_stand
from tiercli.sandbox.stack.binaries import StackBinaries

pytestmark = pytest.mark.stack

Change = Callable[[dict[str, Any]], object]


SECRET = "sk-not-for-anybodys-eyes"


@pytest.fixture(scope="module")
def stand(stack: StackBinaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with live_stand(stack, tmp_path_factory.mktemp("stand")) as one:
        yield one


def run_drill(stand: Stand, catalog: Path, *arguments: str, name: str = "short-outage") -> Done:
    command = ["drill", "run", name, "--drills", str(stand.drills)]
    command += ["--catalog", str(catalog), "--env", "staging", "--runs", str(catalog.parent / "runs"), *arguments]
    return tiercli_here(*command)


def changed(stand: Stand, folder: Path, change: Change) -> Path:
    """A copy of the stand's catalog whose environment was changed."""
    data = yaml.safe_load(stand.catalog.read_text(encoding="utf-8"))
    change(data["environments"]["staging"])
    (folder / "token").write_text(stand.sandbox.token, encoding="utf-8")
    catalog = folder / "catalog.yaml"
    catalog.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    return catalog


@contextmanager
def server(status: int, trust: ssl.SSLContext | None = None, only: str | None = None) -> Iterator[int]:
    """An HTTP server that answers everything with `status`, or 401 to all but `only`; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if only in (None, self.headers.get("Authorization")) else 401)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Nothing."""

    one = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if trust is not None:
        one.socket = trust.wrap_socket(one.socket, server_side=True)
    threading.Thread(target=one.serve_forever, daemon=True).start()
    try:
        yield one.server_port
    finally:
        one.shutdown()
        one.server_close()


def test_a_dry_run_says_what_would_be_done_and_cost_and_touches_nothing(stand: Stand) -> None:
    done = run_drill(stand, stand.catalog, "--dry-run", "--format", "json")
    assert done.returncode == 0, done.stderr
    [plan] = json.loads(done.stdout)
    # 1 + 3 + 11 minutes, 30 times as fast, and the seconds that Locust and the reading may need; 60 calls a second; one alias, of which
    # two candidates cost 3.75 and 15 USD per million tokens: 600 and 400 of them.
    assert (plan["seconds"], plan["calls"]) == (70, 4200)
    assert plan["calls_by_alias"] == {"smart-reasoner": 4200}
    assert plan["usd_at_most"] == pytest.approx(2 * 4200 * (600 * 3.75 + 400 * 15) / 1e6)
    assert not (stand.catalog.parent / "runs").exists()
    text = run_drill(stand, stand.catalog, "--dry-run").stdout
    assert "brings about outage on provider=anthropic, region=ap-south-1" in text
    assert text.endswith("nothing was touched\n")


def missing(part: str) -> Change:
    return lambda environment: environment.pop(part)


def nothing_injects(environment: dict[str, Any]) -> None:
    environment["injectors"] = {}


def an_unset_key(environment: dict[str, Any]) -> None:
    environment["gateway"]["credential"] = {"env": "NO_SUCH_VARIABLE_HERE"}


def no_fixed_place(environment: dict[str, Any]) -> None:
    del environment["gateway"]
    place = {"provider": "anthropic", "region": "ap-south-1", "url": "http://127.0.0.1:1"}
    environment["endpoints"] = [place]


def another_speed(environment: dict[str, Any]) -> None:
    environment["factor"] = 10


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (missing("prometheus"), "environment 'staging' names no prometheus"),
        (lambda environment: environment.clear(), "names no prometheus"),
        (missing("alertmanager"), "environment 'staging' names no alertmanager"),
        (missing("gateway"), "'staging' names no gateway (accepted: gateway: {url: …}, or endpoints"),
        (no_fixed_place, "tiercli proxy listens anywhere for anthropic in ap-south-1 (accepted: listen: HOST:PORT)"),
        (an_unset_key, "the environment variable NO_SUCH_VARIABLE_HERE is not set"),
        (nothing_injects, "outage"),
        (another_speed, "ProviderDown waits 2s there, and 6s by the catalog with time 10 times as fast"),
    ],
    ids=[
        "no Prometheus",
        "nothing",
        "no Alertmanager",
        "no gateway",
        "no place for calls",
        "no key",
        "no injector",
        "another speed",
    ],
)
def test_what_an_environment_lacks_is_told_at_its_place(
    stand: Stand, tmp_path: Path, change: Change, said: str
) -> None:
    done = run_drill(stand, changed(stand, tmp_path, change), "--spend-cap", "1000")
    assert done.returncode == 2, done.stderr
    assert said in " ".join(done.stderr.split()), done.stderr
    assert f"{tmp_path}/catalog.yaml:" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_refused_key_is_told_and_never_shown(stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_KEY", SECRET)
    with server(401) as port:
        gateway = {"url": f"http://127.0.0.1:{port}", "credential": {"env": "GATEWAY_KEY"}}
        done = run_drill(stand, changed(stand, tmp_path, lambda environment: environment.update(gateway=gateway)))
    assert done.returncode == 2, done.stderr
    assert "the credential is refused (HTTP 401)" in done.stderr
    assert SECRET not in done.stderr + done.stdout


def test_a_certificate_that_does_not_verify_is_told_and_its_authority_accepted(stand: Stand, tmp_path: Path) -> None:
    authority = trustme.CA()
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(trust)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with server(200, trust) as port:
        gateway = {"url": f"https://127.0.0.1:{port}"}
        catalog = changed(stand, tmp_path, lambda environment: environment.update(gateway=gateway))
        refused = run_drill(stand, catalog, "--dry-run")
        gateway["ca_file"] = "ca.pem"
        catalog = changed(stand, tmp_path, lambda environment: environment.update(gateway=gateway))
        accepted = run_drill(stand, catalog, "--dry-run")
    assert refused.returncode == 2, refused.stderr
    assert f"the certificate of gateway at https://127.0.0.1:{port} does not verify" in refused.stderr
    assert accepted.returncode == 0, accepted.stderr


def test_a_server_that_does_not_answer_is_the_environments_failure(stand: Stand, tmp_path: Path) -> None:
    gateway = {"url": "http://127.0.0.1:1"}
    done = run_drill(stand, changed(stand, tmp_path, lambda environment: environment.update(gateway=gateway)))
    assert done.returncode == 3, done.stderr
    assert "gateway at http://127.0.0.1:1 does not answer" in done.stderr


@contextmanager
def clock_ahead(url: str, seconds: float) -> Iterator[str]:
    """A fake machine whose clock is ahead: the real Prometheus behind it, and only what it says of the time is shifted."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = httpx.get(url + self.path, trust_env=False)
            body = answer.json()
            if "query=time" in self.path:
                at, value = body["data"]["result"]
                body["data"]["result"] = [at + seconds, str(float(value) + seconds)]
            content = json.dumps(body).encode()
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    one = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=one.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{one.server_port}"
    finally:
        one.shutdown()
        one.server_close()


@pytest.mark.parametrize(
    ("seconds", "said"), [(20, r"(19|20)\.\d s ahead of"), (-20, r"(19|20)\.\d s behind"), (0.5, "")]
)
def test_clocks_that_disagree_prove_nothing(stand: Stand, tmp_path: Path, seconds: float, said: str) -> None:
    with clock_ahead(stand.sandbox.addresses.prometheus_url, seconds) as url:
        there = {"url": url}
        done = run_drill(stand, changed(stand, tmp_path, lambda one: one.update(prometheus=there)), "--dry-run")
    assert done.returncode == (3 if said else 0), done.stderr
    assert re.search(said, done.stderr)


def test_production_is_touched_only_when_it_is_named(stand: Stand, tmp_path: Path) -> None:
    catalog = changed(stand, tmp_path, lambda environment: environment.update(production=True))
    refused = run_drill(stand, catalog)
    assert refused.returncode == 2
    assert "'staging' is production (accepted: --production staging)" in " ".join(refused.stderr.split())
    other = run_drill(stand, catalog, "--production", "live")
    assert other.returncode == 2
    assert run_drill(stand, catalog, "--dry-run", "--production", "staging").returncode == 0
    assert run_drill(stand, stand.catalog, "--dry-run", "--production", "staging").returncode == 2  # it is none


def test_what_could_cost_more_than_the_cap_is_not_begun(stand: Stand, tmp_path: Path) -> None:
    refused = run_drill(stand, stand.catalog, "--dry-run", "--spend-cap", "69")
    assert refused.returncode == 2
    assert "4,200 calls may cost 69.30 USD, and a drill in 'staging' 69.00 USD" in " ".join(refused.stderr.split())
    assert run_drill(stand, stand.catalog, "--dry-run", "--spend-cap", "69", "--rate", "55").returncode == 0


def by_the_heartbeats_way(environment: dict[str, Any]) -> None:
    del environment["webhook"]


def test_what_alertmanager_cannot_tell_from_the_heartbeat_is_refused(stand: Stand, tmp_path: Path) -> None:
    data = yaml.safe_load(changed(stand, tmp_path, by_the_heartbeats_way).read_text(encoding="utf-8"))
    data["receivers"]["platform-pager"] = {"webhook": {"url": "http://127.0.0.1:1/page"}}
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    refused = run_drill(stand, tmp_path / "catalog.yaml", "--dry-run")
    assert refused.returncode == 2, refused.stderr
    assert "'platform-pager' and the heartbeat both go by webhook" in " ".join(refused.stderr.split())


def test_rules_of_another_environment_are_told(stand: Stand, tmp_path: Path) -> None:
    data = yaml.safe_load(stand.catalog.read_text(encoding="utf-8")) | {"env": "another"}
    (tmp_path / "token").write_text(stand.sandbox.token, encoding="utf-8")
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    refused = run_drill(stand, tmp_path / "catalog.yaml", "--dry-run")
    assert refused.returncode == 2, refused.stderr
    assert "ProviderDown has env='production' there: this drill would not know its alerts" in refused.stderr


def test_every_tenants_key_is_tried(stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOD", "good-key")
    monkeypatch.setenv("BAD", SECRET)
    known = yaml.safe_load(stand.catalog.read_text(encoding="utf-8"))["tenants"]
    names = list(known)[:2]
    tenants = {names[0]: {"env": "GOOD"}, names[1]: {"env": "BAD"}}
    with server(200, only="Bearer good-key") as port:
        there = {"gateway": {"url": f"http://127.0.0.1:{port}"}, "tenants": tenants}
        refused = run_drill(stand, changed(stand, tmp_path, lambda environment: environment.update(there)), "--dry-run")
    assert refused.returncode == 2, refused.stderr
    assert f"gateway, as {names[1]}," in refused.stderr
    assert f"gateway, as {names[0]}," not in refused.stderr
    assert SECRET not in refused.stderr


def test_a_webhook_address_that_is_taken_is_told(stand: Stand, tmp_path: Path) -> None:
    with server(200) as port:
        taken = {"webhook": f"127.0.0.1:{port}"}
        refused = run_drill(stand, changed(stand, tmp_path, lambda environment: environment.update(taken)), "--dry-run")
    assert refused.returncode == 2, refused.stderr
    assert f"tiercli cannot listen at 127.0.0.1:{port}" in refused.stderr


def test_options_of_a_sandbox_mean_nothing_in_an_environment(stand: Stand) -> None:
    refused = run_drill(stand, stand.catalog, "--dry-run", "--factor", "60")
    assert refused.returncode == 2
    assert "--factor, --isolated, --parallel and --real are for sandboxes" in refused.stderr


def test_options_of_an_environment_mean_nothing_without_one(stand: Stand) -> None:
    done = tiercli_here("drill", "run", "quiet", "--dry-run")
    assert done.returncode == 2
    assert "--env NAME" in done.stderr

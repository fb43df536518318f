"""Who brings a fault about, what is told of one that nobody can, and that nothing is touched for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.live_servers import free_port
from tests.faults.environment.stands import (
    MUMBAI,
    SECRET,
    SECRET_VARIABLE,
    Use,
    command_stand,
    injectors_of,
    proxy_stand,
    write_catalog,
)
from tests.faults.environment.toxiproxy_fake import fake_toxiproxy
from tiercli.catalog.loading import load_catalog
from tiercli.errors import BackendError, BackendUnreachable, InvalidInput, Problem

VIRGINIA = {"provider": "anthropic", "region": "us-east-1"}
OFF = ["true"]


def checked(catalog: Path, *uses: Use, tiers: Mapping[str, str] | None = None) -> list[Problem]:
    async def scenario() -> list[Problem]:
        async with injectors_of(catalog, tiers) as live:
            return await live.check(uses)

    return asyncio.run(scenario())


def applied(catalog: Path, *uses: Use) -> list[str]:
    """Who did what."""

    async def scenario() -> list[str]:
        async with injectors_of(catalog) as live:
            return [(await live.apply(*use)).description for use in uses]

    return asyncio.run(scenario())


def test_an_own_command_goes_before_the_proxies_and_the_fault_proxy_before_toxiproxy(tmp_path: Path) -> None:
    with proxy_stand(tmp_path) as stand, fake_toxiproxy("mumbai", "virginia") as fake:
        proxy = load_catalog(stand.catalog).catalog.environments["staging"].injectors.proxy
        assert proxy is not None
        commands = [{"fault": "outage", "target": MUMBAI, "on": ["touch", "down"], "off": ["rm", "down"]}]
        injectors: dict[str, Any] = {
            "proxy": {"url": proxy.url, "credential": {"file": "token"}},
            "toxiproxy": {"url": fake.url, "proxies": {"mumbai": MUMBAI, "virginia": VIRGINIA}},
        }
        uses: list[Use] = [("outage", MUMBAI, {}), ("latency", MUMBAI, {"seconds": 1}), ("outage", VIRGINIA, {})]
        catalog = write_catalog(tmp_path, {**injectors, "commands": commands})
        assert checked(catalog, *uses) == []
        assert not (tmp_path / "run").exists()
        assert applied(catalog, *uses) == [
            "the command `touch down`: outage on provider=anthropic, region=ap-south-1",
            f"the fault proxy at {proxy.url}: latency on mumbai",
            f"Toxiproxy at {fake.url}: virginia does not listen",
        ]
        catalog = write_catalog(tmp_path, injectors)
        assert applied(catalog, uses[0]) == [f"the fault proxy at {proxy.url}: outage on mumbai"]


@pytest.mark.parametrize(
    ("use", "said", "accepted"),
    [
        (
            ("gateway-down", {}, {}),
            "it ends processes, and no proxy can do that",
            "a command or a hook with this fault",
        ),
        (
            ("audit-loss", {}, {"share": 0.1}),
            "the behaviour of the simulated gateway, and no proxy can do that",
            "a command or a hook with this fault",
        ),
        (("outage", {"provider": "openai"}, {}), "it has no proxy for this target", "toxiproxy.proxies"),
        (("errors", MUMBAI, {"share": 0.5}), "it passes bytes on, and errors needs to know calls", "tiercli proxy"),
        (("slow-stream", MUMBAI, {}), "slow-stream needs to know calls", "tiercli proxy"),
        (("blackhole", MUMBAI, {"share": 0.5}), "it chooses connections", "share: 1"),
        (("latency", MUMBAI, {"seconds": 1, "mode": "target"}), "cannot fill it up", "mode: add"),
        (("latency", MUMBAI, {"p50_seconds": 1, "p95_seconds": 2}), "a uniform distribution", "p95_seconds up to 1.9"),
        (("latency", MUMBAI, {"seconds": 1, "seed": 7}), "its random delays cannot be repeated", "no seed"),
        (("latency", MUMBAI, {"seconds": 0.0001}), "counts in milliseconds", "at least 0.001 seconds"),
        (
            ("outage", {"provider": "anthropic"}, {}),
            "no proxy for anthropic/us-east-1, which the target includes",
            "each",
        ),
        (("outage", {"tier": "cloud"}, {}), "it has no proxy for this target", "toxiproxy.proxies"),
        (("laten", MUMBAI, {}), "unknown fault 'laten'", "latency"),
        (("latency", MUMBAI, {"second": 1}), "unknown setting 'second'", ""),
    ],
)
def test_what_nobody_can_bring_about_is_told_with_what_could(
    use: Use, said: str, accepted: str, tmp_path: Path
) -> None:
    with fake_toxiproxy("mumbai") as fake:
        injectors = {"toxiproxy": {"url": fake.url, "proxies": {"mumbai": MUMBAI}}}
        endpoints = [{"url": "http://x", **MUMBAI}, {"url": "http://x", **VIRGINIA}]
        catalog = write_catalog(tmp_path, injectors, endpoints=endpoints)
        [problem] = checked(catalog, use)
        assert said in problem.found
        assert accepted in problem.accepted
        assert problem.location.file == str(catalog)
        with pytest.raises(InvalidInput) as caught:
            applied(catalog, use)
        assert said in str(caught.value.problems[0])
        assert fake.proxies["mumbai"]["toxics"] == []
        assert fake.proxies["mumbai"]["enabled"]


def test_an_environment_without_injectors_says_how_to_get_one(tmp_path: Path) -> None:
    [problem] = checked(write_catalog(tmp_path, {}), ("outage", MUMBAI, {}))
    assert "it has no proxy" in problem.found
    assert "{proxy: …} or {toxiproxy: …}" in problem.accepted


def test_a_tier_is_a_target_where_it_is_known(tmp_path: Path) -> None:
    with fake_toxiproxy("mumbai") as fake:
        catalog = write_catalog(tmp_path, {"toxiproxy": {"url": fake.url, "proxies": {"mumbai": MUMBAI}}})
        assert checked(catalog, ("outage", {"tier": "cloud"}, {}), tiers={"anthropic": "cloud"}) == []
        assert len(checked(catalog, ("outage", {"tier": "local"}, {}), tiers={"anthropic": "cloud"})) == 1


def test_a_fault_of_load_is_somebody_elses_unless_a_command_does_it(tmp_path: Path) -> None:
    use: Use = ("queue-build-up", {"alias": "summariser"}, {"calls_per_second": 5})
    catalog = write_catalog(tmp_path, {})
    assert checked(catalog, use) == []
    assert injectors_of(catalog).by_load(*use[:2])
    command = {"fault": use[0], "target": use[1], "on": ["true"], "off": OFF}
    assert not injectors_of(write_catalog(tmp_path, {"commands": [command]})).by_load(*use[:2])


def test_every_problem_of_every_use_is_told_at_once(tmp_path: Path) -> None:
    with fake_toxiproxy("mumbai") as fake:
        fake.proxies["mumbai"]["enabled"] = False
        proxies = {"mumbai": MUMBAI, "virginia": VIRGINIA}
        commands = [{"fault": "replica-down", "on": ["./no-such-program"], "off": ["no-such-program"]}]
        injectors = {"toxiproxy": {"url": fake.url, "proxies": proxies}, "commands": commands}
        catalog = write_catalog(tmp_path, injectors)
        uses: list[Use] = [("replica-down", {}, {}), ("gateway-down", {}, {}), ("outage", MUMBAI, {})]
        said = "\n".join(map(str, checked(catalog, *uses)))
        for text in (
            "'./no-such-program' cannot be run here",
            "'no-such-program' cannot be run here",
            "can cause gateway-down",
            "Toxiproxy's proxy 'mumbai' is disabled",
            f"Toxiproxy at {fake.url} has no proxy 'virginia' (accepted: mumbai)",
        ):
            assert text in said
        line = 1 + catalog.read_text().splitlines().index("        - ./no-such-program")
        assert f"{catalog}:{line}:" in said


@pytest.mark.parametrize(
    ("injectors", "said"),
    [
        ({"proxy": {"url": "http://x"}}, "the fault proxy requires its token"),
        ({"proxy": {"url": "http://x", "credential": {"env": "NO_SUCH_VARIABLE_HERE"}}}, "NO_SUCH_VARIABLE_HERE"),
        ({"toxiproxy": {"url": "http://x", "proxies": {"a": MUMBAI}, "ca_file": "missing.pem"}}, "missing.pem"),
        (
            {
                "hooks": [
                    {
                        "fault": "outage",
                        "target": MUMBAI,
                        "on": {"url": "http://x", "credential": {"file": "missing"}},
                        "off": {"url": "http://x"},
                    }
                ]
            },
            "missing: No such file",
        ),
    ],
)
def test_a_credential_that_is_not_there_is_a_problem_before_anything_is_asked(
    injectors: dict[str, Any], said: str, tmp_path: Path
) -> None:
    catalog = write_catalog(tmp_path, injectors)
    [problem] = checked(catalog, ("outage", MUMBAI, {}))
    assert said in problem.found
    assert problem.location.line > 1
    with pytest.raises(InvalidInput):
        applied(catalog, ("outage", MUMBAI, {}))


def test_a_credential_that_no_fault_needs_is_not_asked_for(tmp_path: Path) -> None:
    with command_stand(tmp_path) as stand:
        own = load_catalog(stand.catalog).catalog.environments["staging"].injectors.model_dump(exclude_none=True)
        proxy = {"url": "http://x", "credential": {"env": "NO_SUCH_VARIABLE_HERE"}}
        catalog = write_catalog(tmp_path, {"commands": [dict(one) for one in own["commands"]], "proxy": proxy})
        assert checked(catalog, *stand.uses) == []
        assert len(applied(catalog, *stand.uses)) == 2


def test_a_proxy_that_does_not_let_in_or_does_not_answer_is_no_verdict(tmp_path: Path) -> None:
    with proxy_stand(tmp_path) as stand:
        (tmp_path / "token").write_text("another-token")
        with pytest.raises(BackendError, match="401") as caught:
            checked(stand.catalog, stand.uses[0])
        assert "another-token" not in str(caught.value)
    nobody = f"http://127.0.0.1:{free_port()}"
    for injectors in (
        {"proxy": {"url": nobody, "credential": {"file": "token"}}},
        {"toxiproxy": {"url": nobody, "proxies": {"mumbai": MUMBAI}}},
    ):
        for look in (checked, applied):
            with pytest.raises(BackendUnreachable, match="does not answer"):
                look(write_catalog(tmp_path, injectors), ("outage", MUMBAI, {}))


def test_what_answers_and_is_no_toxiproxy_is_said(tmp_path: Path) -> None:
    with fake_toxiproxy("mumbai") as fake:
        catalog = write_catalog(tmp_path, {"toxiproxy": {"url": f"{fake.url}/x", "proxies": {"mumbai": MUMBAI}}})
        with pytest.raises(BackendError, match="Toxiproxy answered 404"):
            checked(catalog, ("outage", MUMBAI, {}))


def test_a_proxy_of_toxiproxy_that_somebody_disabled_stays_disabled(tmp_path: Path) -> None:
    with fake_toxiproxy("mumbai") as fake:
        catalog = write_catalog(tmp_path, {"toxiproxy": {"url": fake.url, "proxies": {"mumbai": MUMBAI}}})
        fake.proxies["mumbai"]["enabled"] = False
        with pytest.raises(BackendError, match="is disabled already"):
            applied(catalog, ("outage", MUMBAI, {}))
        assert not fake.proxies["mumbai"]["enabled"]


def test_toxics_can_be_told_from_others_and_are_as_asked(tmp_path: Path) -> None:
    async def scenario(catalog: Path) -> dict[str, Any]:
        async with injectors_of(catalog) as live:
            said = await live.apply("latency", MUMBAI, {"p50_seconds": 0.75, "p95_seconds": 1.2})
            assert "adds 750 ms ± 500 ms, uniformly" in said.description
            [toxic] = fake.proxies["mumbai"]["toxics"]
            await said.clear()
            assert fake.proxies["mumbai"]["toxics"] == []
            await said.clear()
            return dict(toxic)

    with fake_toxiproxy("mumbai") as fake:
        proxies = {"mumbai": MUMBAI}
        toxic = asyncio.run(scenario(write_catalog(tmp_path, {"toxiproxy": {"url": fake.url, "proxies": proxies}})))
    assert toxic["name"].startswith("tiercli-latency-")
    assert (toxic["type"], toxic["stream"]) == ("latency", "downstream")
    assert toxic["attributes"] == {"latency": 750, "jitter": 500}


def test_a_command_is_told_what_the_drill_wants(tmp_path: Path) -> None:
    script = 'printf "%s %s %s" "$TIERCLI_FAULT" "$TIERCLI_TARGET" "$TIERCLI_SETTINGS" > told'
    commands = [{"fault": "errors", "target": MUMBAI, "on": ["sh", "-c", script], "off": OFF}]
    applied(write_catalog(tmp_path, {"commands": commands}), ("errors", MUMBAI, {"share": 0.25}))
    fault, _, rest = (tmp_path / "told").read_text().partition(" ")
    target, settings = rest.split("} {")
    assert (fault, json.loads(target + "}"), json.loads("{" + settings)) == ("errors", MUMBAI, {"share": 0.25})


def test_check_runs_no_command_and_calls_no_hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    with command_stand(tmp_path) as stand:
        assert checked(stand.catalog, *stand.uses) == []
        assert not stand.is_on()
    call = {"url": f"http://127.0.0.1:{free_port()}", "credential": {"env": SECRET_VARIABLE}}
    hooks = [{"fault": "gateway-down", "on": call, "off": call}]
    assert checked(write_catalog(tmp_path, {"hooks": hooks}), ("gateway-down", {}, {})) == []


def test_the_control_api_says_what_it_stands_before_to_whoever_has_the_token(tmp_path: Path) -> None:
    with proxy_stand(tmp_path) as stand:
        proxy = load_catalog(stand.catalog).catalog.environments["staging"].injectors.proxy
        assert proxy is not None
        url = f"{proxy.url}/routes"
        assert httpx.get(url, trust_env=False).status_code == 401
        said = httpx.get(url, headers={"Authorization": f"Bearer {SECRET}"}, trust_env=False).json()
        [route] = said["routes"]
        assert (route["name"], route["labels"]) == ("mumbai", {**MUMBAI, "tier": "cloud"})
        assert "outage" in route["faults"]
        assert "gateway-down" not in route["faults"]

"""What a command prints of the credentials that it inherits: shown to nobody, and in no file."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from tests.faults.environment.stands import MUMBAI, injectors_of, write_catalog
from tiercli.catalog.environment import Environment
from tiercli.errors import BackendError, FaultNotReverted, TiercliError
from tiercli.faults.environment.secrets import secrets_of

VARIABLES = {
    "GRAFANA_TOKEN": "glsa-not-for-anybody",
    "GATEWAY_KEY": "sk-of-the-gateway",
    "TENANT_KEY": "sk-of-a-tenant",
    "PROVIDER_KEY": "sk-ant-provider",
    "PROMETHEUS_USER": "operator:opens-prometheus",
    "SHORT": "on",
}
FILED = "in-a-file-only"


def environment() -> dict[str, Any]:
    """Every part of an environment that can name a credential."""
    return {
        "gateway": {"url": "http://x", "credential": {"env": "GATEWAY_KEY"}},
        "tenants": {"acme-corp": {"env": "TENANT_KEY"}, "globex-media": {"env": "NOT_SET_ANYWHERE"}},
        "prometheus": {"url": "http://x", "credential": {"env": "PROMETHEUS_USER", "scheme": "basic"}},
        "alertmanager": {"url": "http://x", "credential": {"file": "token"}},
        "grafana": {"url": "http://x", "credential": {"env": "GRAFANA_TOKEN"}},
        "endpoints": [MUMBAI | {"url": "http://y", "credential": {"env": "PROVIDER_KEY"}}],
    }


def failure(folder: Path, on: str, off: str) -> TiercliError:
    """What a command that is `on`, and one that is `off`, come to: scripts of a shell, in an environment with all those secrets."""
    (folder / "token").write_text(f"{FILED}\n")
    command = {"fault": "gateway-down", "on": ["sh", "-c", on], "off": ["sh", "-c", off]}
    short = {
        "fault": "replica-down",
        "on": {"url": "http://x", "credential": {"env": "SHORT"}},
        "off": {"url": "http://x"},
    }
    catalog = write_catalog(folder, {"commands": [command], "hooks": [short]}, **environment())

    async def scenario() -> None:
        async with injectors_of(catalog) as live:
            await live.apply("gateway-down", {}, {})

    with pytest.raises(TiercliError) as caught:
        asyncio.run(scenario())
    return caught.value


@pytest.fixture(autouse=True)
def _with_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


def test_what_a_command_prints_is_said_without_any_credential_of_the_environment(tmp_path: Path) -> None:
    names = " ".join(f"${name}" for name in VARIABLES)
    error = failure(tmp_path, f"set -x; echo {names}; cat token; exit 1", "true")
    assert isinstance(error, BackendError)
    for secret in (*VARIABLES.values(), "opens-prometheus", FILED):
        assert secret == VARIABLES["SHORT"] or secret not in error.message
    assert error.message.count("(secret)") == 2 * 5 + 1  # as the shell traces it and as it prints it, and the file
    assert error.message.startswith("gateway-down could not be turned on: exit code 1: + echo (secret) ")
    assert error.message.endswith(" on + cat token (secret) + exit 1")  # SHORT stands, as in any sentence


def test_the_note_and_the_advice_hold_none_either(tmp_path: Path) -> None:
    error = failure(tmp_path, "true", "echo refused: $GRAFANA_TOKEN; exit 1")
    assert isinstance(error, FaultNotReverted)
    [note] = (tmp_path / "run").iterdir()
    for text in (error.message, note.read_text()):
        assert "exit code 1: refused: (secret)" in text
        assert VARIABLES["GRAFANA_TOKEN"] not in text


def test_every_credential_is_found_wherever_the_environment_names_it() -> None:
    def credential(name: str) -> dict[str, Any]:
        return {"credential": {"env": name}, "url": "http://x"}

    found = Environment.model_validate(
        environment()
        | {
            "injectors": {
                "proxy": credential("PROXY"),
                "toxiproxy": credential("TOXIPROXY") | {"proxies": {"mumbai": MUMBAI}},
                "hooks": [{"fault": "gateway-down", "on": credential("ON"), "off": credential("OFF")}],
            }
        }
    )
    more = {name: f"secret of {name}" for name in ("PROXY", "TOXIPROXY", "ON", "OFF")}
    secrets = secrets_of(found, Path("/nowhere"), VARIABLES | more)
    encoded = base64.b64encode(VARIABLES["PROMETHEUS_USER"].encode()).decode()
    wanted = {value for name, value in (VARIABLES | more).items() if name != "SHORT"}
    assert set(secrets) == wanted | {"opens-prometheus", encoded}

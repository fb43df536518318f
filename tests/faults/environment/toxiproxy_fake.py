"""A fake of Toxiproxy's API: the requests that tiercli makes, with the checks and answers of its api.go (v2.5.0). It passes
nothing on. `make test-toxiproxy` runs the same tests against the real one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.faults.environment.loopback import Asked, serving

TOXICS = {
    "latency": {"latency", "jitter"},
    "timeout": {"timeout"},
    "reset_peer": {"timeout"},
}


class FakeToxiproxy:
    """Its proxies by name, each with `enabled` and `toxics`. `broken`: what it answers in place of everything else."""

    def __init__(self, *names: str) -> None:
        self.url = ""
        self.proxies: dict[str, dict[str, Any]] = {
            name: {"name": name, "listen": "127.0.0.1:1", "upstream": "x:1", "enabled": True, "toxics": []}
            for name in names
        }
        self.broken = 0

    def answer(self, asked: Asked) -> tuple[int, str]:
        """What Toxiproxy would answer."""
        status, body = (self.broken, "out of order") if self.broken else self._answer(asked)
        return status, "" if body is None else json.dumps(body)

    def _answer(self, asked: Asked) -> tuple[int, Any]:
        given = json.loads(asked.body) if asked.body else {}
        parts = asked.path.strip("/").split("/")
        if (asked.method, parts) == ("GET", ["proxies"]):
            return 200, self.proxies
        proxy = self.proxies.get(parts[1]) if parts[0] == "proxies" and len(parts) > 1 else None
        if proxy is None:
            return 404, {"error": "proxy not found", "status": 404}
        match asked.method, parts[2:]:
            case "POST", []:
                proxy["enabled"] = given.get("enabled", proxy["enabled"])
                return 200, proxy
            case "POST", ["toxics"]:
                assert set(given["attributes"]) == TOXICS[given["type"]]
                assert given["stream"] in ("upstream", "downstream")
                if any(one["name"] == given["name"] for one in proxy["toxics"]):
                    return 409, {"error": "toxic already exists", "status": 409}
                proxy["toxics"].append(given)
                return 200, given
            case "DELETE", ["toxics", name]:
                left = [one for one in proxy["toxics"] if one["name"] != name]
                if len(left) == len(proxy["toxics"]):
                    return 404, {"error": "toxic not found", "status": 404}
                proxy["toxics"] = left
                return 204, None
        raise AssertionError(f"the fake knows no {asked.method} {asked.path}")


@contextmanager
def fake_toxiproxy(*names: str) -> Iterator[FakeToxiproxy]:
    """A fake on loopback with these proxies."""
    fake = FakeToxiproxy(*names)
    with serving(fake.answer) as url:
        fake.url = url
        yield fake

"""The routes of the fault proxy, its control port, and the plan file that has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tiercli.errors import InvalidInput, Location, Problem

PLAN_KEY = "proxy"  # the proxy's part of a plan file, which can hold more


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One listener and its upstream. `labels`: what a fault's target can name: provider, region, tier, server. `faults`: the names
    of the faults that it can have; None: all of the proxy's."""

    name: str
    port: int
    upstream: str  # base URL, without a trailing slash
    labels: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    faults: tuple[str, ...] | None = None

    def matches(self, target: Mapping[str, str]) -> bool:
        """Whether this route has every label of `target`; an empty target matches every route."""
        return all(self.labels.get(name) == value for name, value in target.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyPlan:
    """Everything that a fault proxy needs to start. The control token stays in its file (mode 0600)."""

    control_port: int
    token_file: Path
    routes: tuple[Route, ...]

    @property
    def control_url(self) -> str:
        """The base URL of the control API."""
        return f"http://127.0.0.1:{self.control_port}"


def load_proxy_plan(path: Path) -> ProxyPlan:
    """The proxy's part of a plan file: its key "proxy". Raises InvalidInput."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(ProxyPlan).validate_python(data[PLAN_KEY])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{PLAN_KEY!r} is missing" if isinstance(error, KeyError) else str(error)
        if isinstance(error, ValidationError):
            reason = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise InvalidInput(f"{path} is not a plan of a fault proxy", [Problem(Location(str(path)), reason)]) from error

"""Prometheus' HTTP API, as far as tiercli reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tiercli.clients.http_api import ApiClient
from tiercli.durations import format_duration
from tiercli.errors import BackendUnreachable


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of an instant query: Unix seconds and a number (NaN and infinities included)."""

    labels: Mapping[str, str]
    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a range: (Unix seconds, number) pairs, oldest first."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """A pending or firing alert."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: str
    active_at: float
    value: float


class PrometheusClient(ApiClient):
    """An async context manager. Every method raises BackendUnreachable or QueryRejected."""

    NAME = "prometheus"

    async def query(self, expr: str, at: float | None = None) -> list[Sample]:
        """An instant query: a vector, or a scalar as one sample without labels."""
        data = await self._data("/api/v1/query", {"query": expr} | ({} if at is None else {"time": at}))
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][0]), _number(data["result"][1]))]
        return [Sample(one["metric"], float(one["value"][0]), _number(one["value"][1])) for one in data["result"]]

    async def query_range(self, expr: str, start: float, end: float, step_s: float) -> list[Series]:
        """A range query from `start` to `end` (Unix seconds) every `step_s`."""
        params = {"query": expr, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step_s:.3f}"}
        return _series(await self._data("/api/v1/query_range", params))

    async def raw_samples(self, selector: str, window_s: float, at: float) -> list[Series]:
        """The samples as they were scraped or recorded, with their own times, in the `window_s` before `at`."""
        params = {"query": f"{selector}[{format_duration(window_s)}]", "time": f"{at:.3f}"}
        return _series(await self._data("/api/v1/query", params))

    async def alerts(self) -> list[ActiveAlert]:
        """Alerts that are pending or firing now."""
        data = await self._data("/api/v1/alerts", {})
        return [
            ActiveAlert(
                one["labels"],
                one["annotations"],
                one["state"],
                _unix(one["activeAt"]),
                _number(one.get("value", "NaN")),
            )
            for one in data["alerts"]
        ]

    async def label_values(self, label: str, match: str | None = None) -> list[str]:
        """The values of a label, of the series that `match` selects."""
        data = await self._data(f"/api/v1/label/{label}/values", {"match[]": match} if match else {})
        return [str(value) for value in data]

    async def series(self, match: str) -> list[dict[str, str]]:
        """The label sets of the series that `match` selects."""
        return list(await self._data("/api/v1/series", {"match[]": match}))

    async def version(self) -> str:
        """Prometheus' version."""
        return str((await self._data("/api/v1/status/buildinfo", {})).get("version", "unknown"))

    async def _data(self, path: str, params: Mapping[str, Any]) -> Any:
        body = await self.get_json(path, params)
        if not isinstance(body, dict) or "data" not in body:
            raise BackendUnreachable(f"what answers at {self.url} is not prometheus: its answer has no data")
        return body["data"]


def _series(data: Any) -> list[Series]:
    return [
        Series(one["metric"], tuple((float(at), _number(value)) for at, value in one["values"]))
        for one in data["result"]
    ]


def _number(text: str) -> float:
    return {"NaN": math.nan, "+Inf": math.inf, "-Inf": -math.inf}.get(text) or float(text)


def _unix(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()

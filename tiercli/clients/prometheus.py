"""Prometheus' HTTP API, as far as tiercli reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tiercli.clients.http_api import ApiClient, unix_seconds
from tiercli.durations import format_duration
from tiercli.signals.rule import Rule


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


@dataclass(frozen=True, slots=True)
class MetricMetadata:
    """Type, help and unit of a metric as its targets expose them."""

    metric: str
    type: str
    help: str
    unit: str


@dataclass(frozen=True, slots=True)
class LoadedRule:
    """A rule that Prometheus has loaded, and how its evaluation goes. `group_interval_s` and `group_took_s`: of its group,
    seconds."""

    rule: Rule
    health: str
    last_error: str
    group_interval_s: float
    group_took_s: float


class PrometheusClient(ApiClient):
    """An async context manager. Every method raises BackendUnreachable or QueryRejected."""

    NAME = "prometheus"

    async def query(self, expr: str, at: float | None = None) -> list[Sample]:
        """An instant query at `at` (Unix seconds; now): a vector, or a scalar as one sample without labels."""
        data = await self._data("/api/v1/query", {"query": expr} | ({} if at is None else {"time": f"{at:.3f}"}))
        with self.reading():
            if data["resultType"] == "scalar":
                return [Sample({}, float(data["result"][0]), _number(data["result"][1]))]
            return [
                Sample(sample["metric"], float(sample["value"][0]), _number(sample["value"][1]))
                for sample in data["result"]
            ]

    async def query_range(self, expr: str, start: float, end: float, step_s: float) -> list[Series]:
        """A range query from `start` to `end` (Unix seconds) every `step_s`."""
        params = {"query": expr, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step_s:.3f}"}
        return await self._series("/api/v1/query_range", params)

    async def raw_samples(self, selector: str, window_s: float, at: float) -> list[Series]:
        """The samples as they were scraped or recorded, with their own times, in the `window_s` before `at`."""
        params = {"query": f"{selector}[{format_duration(window_s)}]", "time": f"{at:.3f}"}
        return await self._series("/api/v1/query", params)

    async def alerts(self) -> list[ActiveAlert]:
        """Alerts that are pending or firing now."""
        data = await self._data("/api/v1/alerts")
        with self.reading():
            return [
                ActiveAlert(
                    alert["labels"],
                    alert["annotations"],
                    alert["state"],
                    unix_seconds(alert["activeAt"]),
                    _number(alert.get("value", "NaN")),
                )
                for alert in data["alerts"]
            ]

    async def label_values(
        self, label: str, match: str | None = None, start: float | None = None, end: float | None = None
    ) -> list[str]:
        """The values of a label, of the series that `match` selects, between two times (Unix seconds) if given."""
        between = {name: f"{at:.3f}" for name, at in (("start", start), ("end", end)) if at is not None}
        data = await self._data(f"/api/v1/label/{label}/values", between | ({"match[]": match} if match else {}))
        with self.reading():
            return [str(value) for value in data]

    async def series(self, match: str) -> list[dict[str, str]]:
        """The label sets of the series that `match` selects."""
        data = await self._data("/api/v1/series", {"match[]": match})
        with self.reading():
            return [{str(key): str(value) for key, value in labels.items()} for labels in data]

    async def metadata(self, metric: str | None = None) -> list[MetricMetadata]:
        """The metadata that the scraped targets expose of `metric`, or of each of their metrics."""
        data = await self._data("/api/v1/metadata", {"metric": metric} if metric else {})
        with self.reading():
            return [
                MetricMetadata(name, entry["type"], entry["help"], entry["unit"])
                for name, entries in data.items()
                for entry in entries
            ]

    async def rules(self) -> list[LoadedRule]:
        """Every rule that is loaded, in the order of groups and rules."""
        data = await self._data("/api/v1/rules")
        with self.reading():
            return [
                LoadedRule(
                    Rule(
                        "alert" if rule["type"] == "alerting" else "record",
                        rule["name"],
                        rule["query"],
                        rule.get("labels") or {},
                        rule.get("annotations") or {},
                        float(rule.get("duration") or 0),
                        float(rule.get("keepFiringFor") or 0),
                        group["name"],
                    ),
                    rule.get("health", "unknown"),
                    rule.get("lastError") or "",
                    float(group["interval"]),
                    float(group.get("evaluationTime") or 0),
                )
                for group in data["groups"]
                for rule in group["rules"]
            ]

    async def flags(self) -> dict[str, str]:
        """The flags that Prometheus runs with."""
        data = await self._data("/api/v1/status/flags")
        with self.reading():
            return {str(name): str(value) for name, value in data.items()}

    async def retention(self) -> str:
        """How long samples are kept, in Prometheus' form: "15d", or "15d or 10GiB"."""
        data = await self._data("/api/v1/status/runtimeinfo")
        with self.reading():
            return str(data["storageRetention"])

    async def started_at(self) -> float:
        """When the server was started, Unix seconds."""
        data = await self._data("/api/v1/status/runtimeinfo")
        with self.reading():
            return unix_seconds(str(data["startTime"]))

    async def clock(self) -> float:
        """The server's time, Unix seconds."""
        return (await self.query("time()"))[0].value

    async def alertmanagers(self) -> list[str]:
        """The URLs of the Alertmanagers that alerts are sent to."""
        data = await self._data("/api/v1/alertmanagers")
        with self.reading():
            return [str(target["url"]) for target in data["activeAlertmanagers"]]

    async def version(self) -> str:
        """Prometheus' version."""
        data = await self._data("/api/v1/status/buildinfo")
        with self.reading():
            return str(data["version"])

    async def _series(self, path: str, params: Mapping[str, Any]) -> list[Series]:
        data = await self._data(path, params)
        with self.reading():
            if data["resultType"] != "matrix":
                raise ValueError(f"a {data['resultType']} instead of a matrix")
            return [
                Series(series["metric"], tuple((float(at), _number(value)) for at, value in series["values"]))
                for series in data["result"]
            ]

    async def _data(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        body = await self.get_json(path, params)
        with self.reading():
            return body["data"]


def _number(text: str) -> float:
    return {"NaN": math.nan, "+Inf": math.inf, "-Inf": -math.inf}.get(text) or float(text)

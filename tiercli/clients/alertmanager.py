"""Alertmanager's HTTP API (v2), as far as tiercli reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tiercli.clients.http_api import ApiClient
from tiercli.errors import QueryRejected


@dataclass(frozen=True, slots=True)
class GettableAlert:
    """An alert that Alertmanager holds: state is active, suppressed or unprocessed; times are Unix seconds."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: str
    receivers: tuple[str, ...]
    inhibited_by: tuple[str, ...]
    silenced_by: tuple[str, ...]
    starts_at: float
    ends_at: float | None
    fingerprint: str


class AlertmanagerClient(ApiClient):
    """An async context manager. Every method raises BackendUnreachable or QueryRejected."""

    NAME = "alertmanager"

    async def alerts(self) -> list[GettableAlert]:
        """Every alert that it holds, the inhibited and silenced ones too."""
        answer = await self.get_json("/api/v2/alerts")
        with self.reading():
            return [
                GettableAlert(
                    labels=one["labels"],
                    annotations=one.get("annotations", {}),
                    state=one["status"]["state"],
                    receivers=tuple(receiver["name"] for receiver in one.get("receivers", ())),
                    inhibited_by=tuple(one["status"].get("inhibitedBy") or ()),
                    silenced_by=tuple(one["status"].get("silencedBy") or ()),
                    starts_at=_unix(one["startsAt"]),
                    ends_at=_unix(one["endsAt"]) if one.get("endsAt") else None,
                    fingerprint=one["fingerprint"],
                )
                for one in answer
            ]

    async def post_alerts(self, alerts: Sequence[Mapping[str, object]]) -> None:
        """Send alerts, as Prometheus does; one that is there already, by its labels, gets the new times."""
        answer = await self._ask("POST", "/api/v2/alerts", body=list(alerts))
        if answer.status_code >= 400:
            raise QueryRejected(f"{self.NAME} takes no alerts: HTTP {answer.status_code}: {answer.text[:500]}")

    async def metric_samples(self, names: Sequence[str]) -> list[tuple[str, Mapping[str, str], float]]:
        """The samples of its own metrics of these names."""
        from prometheus_client.parser import text_string_to_metric_families

        text = await self.get_text("/metrics")
        with self.reading():
            return [
                (sample.name, sample.labels, sample.value)
                for family in text_string_to_metric_families(text)
                for sample in family.samples
                if sample.name in names
            ]

    async def version(self) -> str:
        """Alertmanager's version."""
        status = await self.get_json("/api/v2/status")
        with self.reading():
            return str(status["versionInfo"]["version"])


def _unix(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()

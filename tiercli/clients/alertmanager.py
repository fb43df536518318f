"""Alertmanager's HTTP API (v2), as far as tiercli reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from tiercli.clients.http_api import ApiClient, unix_seconds


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


@dataclass(frozen=True, slots=True)
class AlertGroup:
    """Alerts that are sent to a receiver as one notification: the labels of each."""

    receiver: str
    alerts: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence; `matchers` by name, each of equality. Times are Unix seconds."""

    id: str
    matchers: Mapping[str, str]
    created_by: str
    comment: str
    starts_at: float
    ends_at: float


class AlertmanagerClient(ApiClient):
    """An async context manager. Every method raises BackendUnreachable or QueryRejected."""

    NAME = "alertmanager"

    async def alerts(self) -> list[GettableAlert]:
        """Every alert that it holds, the inhibited and silenced ones too."""
        answer = await self.get_json("/api/v2/alerts")
        with self.reading():
            return [
                GettableAlert(
                    labels=alert["labels"],
                    annotations=alert.get("annotations", {}),
                    state=alert["status"]["state"],
                    receivers=tuple(receiver["name"] for receiver in alert.get("receivers", ())),
                    inhibited_by=tuple(alert["status"].get("inhibitedBy") or ()),
                    silenced_by=tuple(alert["status"].get("silencedBy") or ()),
                    starts_at=unix_seconds(alert["startsAt"]),
                    ends_at=unix_seconds(alert["endsAt"]) if alert.get("endsAt") else None,
                    fingerprint=alert["fingerprint"],
                )
                for alert in answer
            ]

    async def alert_groups(self) -> list[AlertGroup]:
        """The groups that its alerts are sent in, one for each receiver."""
        answer = await self.get_json("/api/v2/alerts/groups")
        with self.reading():
            return [
                AlertGroup(group["receiver"]["name"], tuple(alert["labels"] for alert in group["alerts"]))
                for group in answer
            ]

    async def post_alerts(self, alerts: Sequence[Mapping[str, object]]) -> None:
        """Send alerts, as Prometheus does; an alert with the same labels gets the new times."""
        answer = await self._ask("POST", "/api/v2/alerts", body=list(alerts))  # a success has no body
        self._check(answer.status_code, answer.text)

    async def silences(self, matchers: Mapping[str, str]) -> list[Silence]:
        """The silences that have these matchers of equality, those about to begin too, the oldest first."""
        answer = await self.get_json("/api/v2/silences")
        with self.reading():
            silences = [
                Silence(
                    silence["id"],
                    {matcher["name"]: matcher["value"] for matcher in silence["matchers"]},
                    silence["createdBy"],
                    silence["comment"],
                    unix_seconds(silence["startsAt"]),
                    unix_seconds(silence["endsAt"]),
                )
                for silence in answer
                if silence["status"]["state"] != "expired"
            ]
        matching = (silence for silence in silences if silence.matchers == dict(matchers))
        return sorted(matching, key=lambda silence: (silence.starts_at, silence.id))

    async def put_silence(self, silence: Silence) -> str:
        """Create a silence (its id is empty) or change when one ends; its id."""
        body = {
            "matchers": [
                {"name": name, "value": value, "isRegex": False, "isEqual": True}
                for name, value in silence.matchers.items()
            ],
            "startsAt": _rfc3339(silence.starts_at),
            "endsAt": _rfc3339(silence.ends_at),
            "createdBy": silence.created_by,
            "comment": silence.comment,
        } | ({"id": silence.id} if silence.id else {})
        answer = await self.post_json("/api/v2/silences", body)
        with self.reading():
            return str(answer["silenceID"])

    async def end_silence(self, silence_id: str) -> None:
        """End a silence; nothing where it has ended."""
        await self._ask("DELETE", f"/api/v2/silence/{quote(silence_id, safe='')}")

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

    async def started_at(self) -> float:
        """When the server was started, Unix seconds."""
        status = await self.get_json("/api/v2/status")
        with self.reading():
            return unix_seconds(status["uptime"])

    async def version(self) -> str:
        """Alertmanager's version."""
        status = await self.get_json("/api/v2/status")
        with self.reading():
            return str(status["versionInfo"]["version"])


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

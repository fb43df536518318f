"""Alertmanager's HTTP API (v2), as far as tiercli reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tiercli.clients.http_api import ApiClient


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

    async def version(self) -> str:
        """Alertmanager's version."""
        status = await self.get_json("/api/v2/status")
        with self.reading():
            return str(status["versionInfo"]["version"])


def _unix(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()

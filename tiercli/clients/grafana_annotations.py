"""Grafana's annotations: marks on every dashboard that asks for their tags."""

from __future__ import annotations

from collections.abc import Sequence

from tiercli.clients.http_api import ApiClient
from tiercli.errors import QueryRejected


class AnnotationsClient(ApiClient):
    """An async context manager. Every method raises BackendUnreachable or QueryRejected."""

    NAME = "grafana"

    async def annotate(self, text: str, tags: Sequence[str], at: float) -> int:
        """Mark a moment (Unix seconds); the mark's id."""
        body = {"time": int(at * 1000), "tags": list(tags), "text": text}
        status, answer = await self._exchange("POST", "/api/annotations", body=body)
        if status >= 300:
            raise QueryRejected(f"{self.NAME} takes no annotation: HTTP {status}: {str(answer)[:500]}")
        with self.reading():
            return int(answer["id"])

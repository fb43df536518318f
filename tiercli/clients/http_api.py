"""What the clients of Prometheus and Alertmanager share: one GET, and every failure as a BackendError."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import httpx

from tiercli.errors import BackendUnreachable, QueryRejected


class ApiClient:
    """An async context manager around one server's base URL. Credentials in the URL never reach a message."""

    NAME = "server"

    def __init__(self, url: str, timeout_s: float = 5.0) -> None:
        self.url = str(httpx.URL(url).copy_with(username=None, password=None)).rstrip("/")
        self._client = httpx.AsyncClient(base_url=url, timeout=timeout_s, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def ready(self) -> bool:
        """Whether the server says that it can serve."""
        try:
            answer = await self._client.get("/-/ready")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    async def get_json(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The decoded answer of a GET. Raises BackendUnreachable without one, QueryRejected for an error."""
        try:
            answer = await self._client.get(path, params=params)
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise BackendUnreachable(
                f"{self.NAME} at {self.url} does not answer: {said}", hint=f"is {self.NAME} up, and is the URL right?"
            ) from error
        if answer.status_code in (401, 403):
            raise BackendUnreachable(f"{self.NAME} at {self.url} demands authentication (HTTP {answer.status_code})")
        try:
            body = answer.json()
        except ValueError as error:
            raise BackendUnreachable(
                f"what answers at {self.url} is not {self.NAME} (HTTP {answer.status_code}, no JSON)"
            ) from error
        if answer.status_code >= 400:
            reason = body.get("error") if isinstance(body, dict) else body
            raise QueryRejected(f"{self.NAME} answered {answer.status_code}: {reason}")
        return body

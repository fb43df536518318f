"""What the clients of all servers share: each exchange, and every failure as a BackendError."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Self

import httpx

from tiercli.errors import BackendUnreachable, InvalidInput, QueryRejected


class ApiClient:
    """An async context manager around one server's base URL. Credentials in the URL never reach a message."""

    NAME = "server"

    def __init__(
        self,
        url: str,
        timeout_s: float = 5.0,
        *,
        headers: Mapping[str, str] | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise InvalidInput(f"not a URL of {self.NAME}: {error}", hint="such as http://localhost:9090") from error
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise InvalidInput(f"not an http or https URL of {self.NAME}", hint="such as http://localhost:9090")
        self.url = str(parsed.copy_with(userinfo=b"", query=None, fragment=None)).rstrip("/")
        self._client = httpx.AsyncClient(
            base_url=url, timeout=timeout_s, trust_env=False, headers=dict(headers or {}), verify=verify
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def ready(self) -> bool:
        """Whether the server is ready to serve."""
        try:
            answer = await self._client.get("/-/ready")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around code that reads an answer: JSON of another shape comes from some other server."""
        try:
            yield
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise BackendUnreachable(
                f"what answers at {self.url} is not {self.NAME}: its answer has another shape ({error!r})",
                hint="is the URL right?",
            ) from error

    async def get_json(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The decoded answer of a GET. Raises BackendUnreachable without one, QueryRejected for an error."""
        status, answer = await self._exchange("GET", path, params=params)
        self._check(status, answer)
        return answer

    async def post_json(self, path: str, body: Any) -> Any:
        """The decoded answer of a POST, as get_json."""
        status, answer = await self._exchange("POST", path, body=body)
        self._check(status, answer)
        return answer

    async def _exchange(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None
    ) -> tuple[int, Any]:
        """Status and decoded answer. Raises BackendUnreachable without an answer, or where authentication fails."""
        answer = await self._ask(method, path, params=params, body=body)
        try:
            return answer.status_code, answer.json()
        except ValueError as error:
            raise BackendUnreachable(
                f"what answers at {self.url} is not {self.NAME} (HTTP {answer.status_code}, no JSON)"
            ) from error

    async def get_text(self, path: str) -> str:
        """The text of a GET. Raises BackendUnreachable without one, QueryRejected for an error."""
        answer = await self._ask("GET", path)
        self._check(answer.status_code, answer.text)
        return answer.text

    async def _ask(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None
    ) -> httpx.Response:
        try:
            answer = await self._client.request(method, path, params=params, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise BackendUnreachable(
                f"{self.NAME} at {self.url} does not answer: {reason}", hint=f"is {self.NAME} up, and is the URL right?"
            ) from error
        if answer.status_code in (401, 403):
            raise BackendUnreachable(f"{self.NAME} at {self.url} {self._refused(answer.status_code)}")
        return answer

    def _check(self, status: int, answer: Any) -> None:
        """Raises QueryRejected unless the status is a success."""
        if status >= 300:
            reason = (answer.get("error") or answer.get("message")) if isinstance(answer, dict) else answer
            raise QueryRejected(f"{self.NAME} answered {status}: {str(reason or answer)[:500]}")

    def _refused(self, status: int) -> str:
        return f"requires authentication (HTTP {status})"


def unix_seconds(text: str) -> float:
    """A time in RFC 3339, as Unix seconds. Raises ValueError."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()

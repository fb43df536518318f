"""Grafana's HTTP API, as far as tiercli writes dashboards with it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tiercli.clients.http_api import ApiClient
from tiercli.errors import InvalidInput, Location, Problem, QueryRejected

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class StoredBoard:
    """A dashboard as Grafana holds it. `message` is that of its last save, None where Grafana keeps no history."""

    content: Mapping[str, Any]
    version: int
    folder_uid: str
    provisioned: bool
    message: str | None
    saved_by: str


class SaveRefused(QueryRejected):
    """Grafana did not save: `status` is its word for why, such as version-mismatch, "" for none."""

    def __init__(self, message: str, status: str) -> None:
        super().__init__(message)
        self.status = status


class GrafanaClient(ApiClient):
    """An async context manager. Every method raises BackendUnreachable or QueryRejected. The token reaches no message."""

    NAME = "grafana"

    def __init__(self, url: str, token: str = "", ca_file: Path | None = None) -> None:
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        super().__init__(url, TIMEOUT_S, headers=headers, verify=True if ca_file is None else _trusting(ca_file))
        self._has_token = bool(token)

    async def folder_title(self, uid: str) -> str | None:
        """The title of a folder, None when there is none of that uid."""
        status, body = await self._exchange("GET", f"/api/folders/{quote(uid, safe='')}")
        if status == 404:
            return None
        self._check(status, body)
        with self.reading():
            return str(body["title"])

    async def create_folder(self, uid: str, title: str) -> None:
        """Create a folder."""
        status, body = await self._exchange("POST", "/api/folders", body={"uid": uid, "title": title})
        self._check(status, body)

    async def board(self, uid: str) -> StoredBoard | None:
        """The dashboard of a uid, None when there is none."""
        at = f"/api/dashboards/uid/{quote(uid, safe='')}"
        status, body = await self._exchange("GET", at)
        if status == 404:
            return None
        self._check(status, body)
        with self.reading():
            meta = body["meta"]
            version = int(meta.get("version", body["dashboard"].get("version", 0)))
            message, saved_by = await self._last_save(at, version)
            return StoredBoard(
                content=dict(body["dashboard"]),
                version=version,
                folder_uid=str(meta.get("folderUid") or ""),
                provisioned=bool(meta.get("provisioned")),
                message=message,
                saved_by=saved_by or str(meta.get("updatedBy") or ""),
            )

    async def save_board(
        self, content: Mapping[str, Any], folder_uid: str, message: str, *, overwrite: bool = False
    ) -> int:
        """Save a dashboard and return its new version. Raises SaveRefused: its `version` is not the last any more, or
        another one has its name, or it belongs to a plugin."""
        body = {"dashboard": dict(content), "folderUid": folder_uid, "message": message, "overwrite": overwrite}
        status, answer = await self._exchange("POST", "/api/dashboards/db", body=body)
        if status in (400, 412) and isinstance(answer, dict):
            said = str(answer.get("message") or answer)[:500]
            title = content.get("title")
            raise SaveRefused(f"grafana did not save {title!r} ({status}): {said}", str(answer.get("status") or ""))
        self._check(status, answer)
        with self.reading():
            return int(answer["version"])

    async def _last_save(self, at: str, version: int) -> tuple[str | None, str]:
        """Message and author of the version that is current."""
        status, body = await self._exchange("GET", f"{at}/versions", params={"limit": 10})
        if status >= 400:
            return None, ""
        saves = body["versions"] if isinstance(body, dict) else body
        for save in saves:
            if int(save["version"]) == version:
                return str(save.get("message") or ""), str(save.get("createdBy") or "")
        return None, ""

    def _check(self, status: int, body: Any) -> None:
        if status >= 300:
            reason = body.get("message") if isinstance(body, dict) else body
            raise QueryRejected(f"grafana answered {status}: {str(reason)[:500]}")

    def _refused(self, status: int) -> str:
        if status == 403:
            return "does not let this account do that (HTTP 403): it needs to read and write folders and dashboards"
        said = "does not accept the token" if self._has_token else "demands a token"
        return f"{said} (HTTP 401): set TIERCLI_GRAFANA_TOKEN, or --token-file"


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        said = getattr(error, "strerror", None) or str(error)
        problem = Problem(Location(str(ca_file)), said.lower(), "PEM certificates")
        raise InvalidInput(f"{ca_file} holds no certificate that can be trusted", [problem]) from error

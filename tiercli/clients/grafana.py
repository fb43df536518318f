"""Grafana's HTTP API, as far as tiercli writes dashboards and annotations with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tiercli.clients.credentials import read_certificates
from tiercli.clients.http_api import ApiClient
from tiercli.errors import QueryRejected

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
    """Grafana did not save: `status` is its reason, such as version-mismatch, "" for none."""

    def __init__(self, message: str, status: str) -> None:
        super().__init__(message)
        self.status = status


class GrafanaClient(ApiClient):
    """An async context manager. Every method raises BackendUnreachable or QueryRejected. The token reaches no message."""

    NAME = "grafana"

    def __init__(self, url: str, token: str = "", ca_file: Path | None = None) -> None:
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        super().__init__(url, TIMEOUT_S, headers=headers, verify=read_certificates(ca_file))
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
        await self.post_json("/api/folders", {"uid": uid, "title": title})

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
        another dashboard has its name, or it belongs to a plugin."""
        body = {"dashboard": dict(content), "folderUid": folder_uid, "message": message, "overwrite": overwrite}
        status, answer = await self._exchange("POST", "/api/dashboards/db", body=body)
        if status in (400, 412) and isinstance(answer, dict):
            reason = str(answer.get("message") or answer)[:500]
            title = content.get("title")
            raise SaveRefused(f"grafana did not save {title!r} ({status}): {reason}", str(answer.get("status") or ""))
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

    def _refused(self, status: int) -> str:
        if status == 403:
            return "denies this account (HTTP 403): it needs permission to read and write folders and dashboards"
        problem = "does not accept the token" if self._has_token else "requires a token"
        return f"{problem} (HTTP 401): set TIERCLI_GRAFANA_TOKEN, or --token-file"


class AnnotationsClient(ApiClient):
    """Marks on every dashboard that shows annotations with their tags. An async context manager, as GrafanaClient."""

    NAME = "grafana"

    async def annotate(self, text: str, tags: Sequence[str], at: float) -> int:
        """Mark a moment (Unix seconds); the mark's id."""
        body = {"time": int(at * 1000), "tags": list(tags), "text": text}
        answer = await self.post_json("/api/annotations", body)
        with self.reading():
            return int(answer["id"])

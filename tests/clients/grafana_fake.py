"""A fake of Grafana's server: the few endpoints that tiercli uses, with the checks and answers that Grafana's API
documents for them. It fails on any other request. No Grafana can be started in these tests."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "glsa_the-token-of-a-service-account"
Answer = tuple[int, Any]


@dataclass
class Saved:
    """A dashboard in the fake: its versions, oldest first, each with content, message and author."""

    folder: str
    versions: list[tuple[dict[str, Any], str, str]] = field(default_factory=list)
    provisioned: bool = False
    plugin: bool = False


class FakeGrafana:
    """The state of the fake, and what was asked of it."""

    def __init__(self) -> None:
        self.url = ""
        self.folders: dict[str, str] = {}
        self.boards: dict[str, Saved] = {}
        self.writes: list[tuple[str, dict[str, Any]]] = []
        self.unmatched: list[str] = []
        self.may_write = True
        self.before_save: Any = None

    def edit(self, uid: str, message: str = "", by: str = "alice", **changes: Any) -> None:
        """Save a dashboard as somebody does in the browser."""
        saved = self.boards[uid]
        saved.versions.append((saved.versions[-1][0] | changes, message, by))

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> Answer:
        """What Grafana would answer."""
        url = urlsplit(target)
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"message": "Invalid API key"}
        if method == "POST" and not self.may_write:
            return 403, {"message": "You'll need additional permissions to perform this action."}
        parts = url.path.strip("/").split("/")
        match (method, parts):
            case "GET", ["api", "folders", uid]:
                if uid not in self.folders:
                    return 404, {"message": "folder not found", "status": "not-found"}
                return 200, {"uid": uid, "title": self.folders[uid]}
            case "POST", ["api", "folders"]:
                return self._create_folder(json.loads(body))
            case "GET", ["api", "dashboards", "uid", uid]:
                return self._board(uid)
            case "GET", ["api", "dashboards", "uid", uid, "versions"]:
                return self._versions(uid, int(parse_qs(url.query).get("limit", ["1000"])[0]))
            case "POST", ["api", "dashboards", "db"]:
                if headers.get("Content-Type") != "application/json":
                    return 400, {"message": "bad request data"}
                return self._save(json.loads(body))
            case "GET", ["api", "org"]:
                return 200, {"id": 1, "name": "Main Org."}
            case "POST", ["api", "annotations"]:
                return self._annotate(json.loads(body))
        self.unmatched.append(f"{method} {target}")
        return 500, {"message": "the fake knows no such request"}

    def _annotate(self, body: dict[str, Any]) -> Answer:
        assert set(body) <= {"dashboardUID", "panelId", "time", "timeEnd", "tags", "text"}
        if not body.get("text"):
            return 400, {"message": "text field should not be empty"}
        self.writes.append(("annotation", body))
        return 200, {"message": "Annotation added", "id": len(self.writes)}

    def _create_folder(self, body: dict[str, Any]) -> Answer:
        assert set(body) <= {"uid", "title", "parentUid"}
        if len(body["uid"]) > 40 or not body["title"]:
            return 400, {"message": "uid too long, max 40 characters"}
        if body["uid"] in self.folders:
            return 412, {"message": "a folder with the same uid already exists"}
        self.folders[body["uid"]] = body["title"]
        self.writes.append(("folder", body))
        return 200, {"uid": body["uid"], "title": body["title"], "version": 1}

    def _board(self, uid: str) -> Answer:
        if uid not in self.boards:
            return 404, {"message": "Dashboard not found"}
        saved = self.boards[uid]
        version = len(saved.versions)
        content, _, by = saved.versions[-1]
        meta = {"version": version, "folderUid": saved.folder, "provisioned": saved.provisioned, "updatedBy": by}
        return 200, {"dashboard": content | {"id": 7, "version": version}, "meta": meta}

    def _versions(self, uid: str, limit: int) -> Answer:
        rows = [
            {"version": number, "message": message, "createdBy": by, "uid": uid}
            for number, (_, message, by) in enumerate(self.boards[uid].versions, 1)
        ]
        return 200, {"continueToken": "", "versions": rows[::-1][:limit]}

    def _save(self, body: dict[str, Any]) -> Answer:
        assert set(body) <= {"dashboard", "folderUid", "folderId", "message", "overwrite"}
        if self.before_save is not None:
            change, self.before_save = self.before_save, None
            change()
        content, folder = dict(body["dashboard"]), body["folderUid"]
        uid = content["uid"]
        if not content.get("title"):
            return 400, {"message": "Dashboard title cannot be empty", "status": "empty-name"}
        if len(uid) > 40:
            return 400, {"message": "uid too long, max 40 characters"}
        if folder not in self.folders:
            return 400, {"message": "folder not found"}
        held = self.boards.get(uid)
        if held is not None and held.provisioned:
            return 400, {"message": "Cannot save provisioned dashboard"}
        if held is not None and held.plugin and not body.get("overwrite"):
            return 412, {"message": "The dashboard belongs to plugin x.", "status": "plugin-dashboard"}
        if held is not None and not body.get("overwrite") and content.get("version", 0) != len(held.versions):
            said = "The dashboard has been changed by someone else"
            return 412, {"message": said, "status": "version-mismatch"}
        for other, one in self.boards.items():
            same = one.folder == folder and one.versions[-1][0]["title"] == content["title"]
            if other != uid and same and not body.get("overwrite"):
                said = "A dashboard with the same name in the folder already exists"
                return 412, {"message": said, "status": "name-exists"}
        if held is None:
            held = self.boards[uid] = Saved(folder)
        held.folder = folder
        held.versions.append((content, body.get("message", ""), "tiercli"))
        self.writes.append(("dashboard", body))
        return 200, {
            "id": 7,
            "uid": uid,
            "status": "success",
            "version": len(held.versions),
            "slug": "x",
            "url": f"/d/{uid}",
        }


@contextmanager
def fake_grafana() -> Iterator[FakeGrafana]:
    """A fake on loopback. At its end, a request that it did not know is a failure."""
    fake = FakeGrafana()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            status, answer = fake.answer(self.command, self.path, self.headers, self.rfile.read(size))
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the names that the base class calls

        def log_message(self, *_: object) -> None:
            """Nothing: pytest's output is for failures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert fake.unmatched == []

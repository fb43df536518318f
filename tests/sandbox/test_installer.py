"""Getting the stack from a release archive: a real archive over real HTTP, and everything that can be wrong with it."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tiercli.errors import BackendError, BackendUnreachable, ToolMissing
from tiercli.sandbox.stack.binaries import PROGRAMS, find_stack, locate_programs
from tiercli.sandbox.stack.installer import ARCHIVES, Archive, install_archives

SYSTEM = "linux-test"


def script(name: str) -> bytes:
    """A program that says its version as the real one does."""
    return f"#!/bin/sh\necho '{name}, version 9.9.9 (branch: HEAD)'\n".encode()


def archive_of(members: dict[str, bytes]) -> bytes:
    """A .tar.gz with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o755
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


GOOD = archive_of({f"stack-9.9.9/{name}": script(name) for name in PROGRAMS} | {"stack-9.9.9/LICENSE": b"text"})


class Mirror(ThreadingHTTPServer):
    """A server that answers a path with bytes, of which `cut` are missing."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content: dict[str, bytes] = {}
        self.cut = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Serves a Mirror's content."""

    server: Mirror

    def do_GET(self) -> None:
        content = self.server.content.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) - self.server.cut])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    """A mirror that serves the good archive at /stack-9.9.9.linux-test.tar.gz."""
    server = Mirror()
    server.content[f"/stack-9.9.9.{SYSTEM}.tar.gz"] = GOOD
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def archive(content: bytes = GOOD, programs: tuple[str, ...] = PROGRAMS) -> Archive:
    """The archive as it would be pinned."""
    sums = {SYSTEM: hashlib.sha256(content).hexdigest()}
    return Archive("stack", "9.9.9", "stack-{version}.{system}.tar.gz", sums, programs)


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program is named by the environment that these tests run in."""
    for program in PROGRAMS:
        monkeypatch.delenv(f"TIERCLI_{program.upper()}", raising=False)


def install(mirror: Mirror, folder: Path, wanted: Archive, system: str = SYSTEM) -> list[str]:
    """Install from the mirror; what was said."""
    said: list[str] = []
    install_archives(folder, (wanted,), mirror.url, said.append, system)
    return said


def test_a_good_archive_becomes_programs_that_are_found_and_run(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/bin-without-a-stack")
    folder = tmp_path / "tiercli" / "stack"
    said = install(mirror, folder, archive())
    assert "downloading" in said[0]
    stack = find_stack()
    assert stack.versions() == dict.fromkeys(PROGRAMS, "9.9.9")
    assert stack.prometheus.found_by == "cache"
    assert sorted(path.name for path in folder.iterdir()) == ["bin"]


def refused(
    mirror: Mirror, folder: Path, wanted: Archive, error: type[Exception], said: str, system: str = SYSTEM
) -> None:
    """The installation fails with `said`, and nothing is left in the cache."""
    with pytest.raises(error, match=said):
        install(mirror, folder, wanted, system)
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_a_wrong_checksum_installs_nothing(mirror: Mirror, tmp_path: Path) -> None:
    refused(mirror, tmp_path, archive(GOOD + b"x"), BackendError, "wrong checksum")


def test_a_download_cut_short_installs_nothing(mirror: Mirror, tmp_path: Path) -> None:
    mirror.cut = 100
    refused(mirror, tmp_path, archive(), BackendUnreachable, "failed")


def test_a_platform_without_an_archive_is_named(mirror: Mirror, tmp_path: Path) -> None:
    refused(mirror, tmp_path, archive(), ToolMissing, "no pinned archive of stack 9.9.9 for plan9-mips", "plan9-mips")


def test_an_archive_that_is_not_there_is_told(mirror: Mirror, tmp_path: Path) -> None:
    mirror.content.clear()
    refused(mirror, tmp_path, archive(), BackendUnreachable, "answered 404")


def test_an_archive_without_its_programs_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    other = archive_of({"stack/prometheus": script("prometheus")})
    mirror.content[f"/stack-9.9.9.{SYSTEM}.tar.gz"] = other
    refused(mirror, tmp_path, archive(other), BackendError, "does not hold alertmanager, amtool, promtool")


def test_what_is_no_archive_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    mirror.content[f"/stack-9.9.9.{SYSTEM}.tar.gz"] = b"<html>sign in</html>"
    refused(mirror, tmp_path, archive(b"<html>sign in</html>"), BackendError, "cannot be unpacked")


def test_no_member_of_an_archive_leaves_the_cache(mirror: Mirror, tmp_path: Path) -> None:
    evil = archive_of({f"../../../{name}": script(name) for name in PROGRAMS} | {"../escaped": b"x"})
    mirror.content[f"/stack-9.9.9.{SYSTEM}.tar.gz"] = evil
    cache = tmp_path / "a" / "b" / "c"
    install(mirror, cache, archive(evil))
    files = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {Path("a/b/c/bin") / name for name in PROGRAMS}


def test_the_pinned_archives_cover_the_platforms_of_a_server() -> None:
    assert {program for one in ARCHIVES for program in one.programs} == set(PROGRAMS)
    for one in ARCHIVES:
        assert set(one.sha256) >= {"linux-amd64", "linux-arm64"}
        assert all(len(digest) == 64 for digest in one.sha256.values())


def test_a_missing_stack_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/bin-without-a-stack")
    with pytest.raises(ToolMissing, match="not installed: prometheus, promtool, alertmanager, amtool") as failed:
        find_stack()
    assert "tiercli stack install" in failed.value.hint


def test_a_program_that_is_too_old_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "prometheus"
    old.write_text("#!/bin/sh\necho 'prometheus, version 2.30.0'\n")
    old.chmod(0o755)
    with pytest.raises(ToolMissing, match=r"too old: prometheus 2\.30\.0"):
        find_stack({"prometheus": old})


def test_a_program_named_in_the_environment_must_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERCLI_AMTOOL", str(tmp_path / "nothing"))
    with pytest.raises(ToolMissing, match="named by TIERCLI_AMTOOL"):
        locate_programs()

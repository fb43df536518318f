"""`tiercli proxy` as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import uvloop
from aiohttp import web
from measured_stand import openai_answer

from tests.conftest import ROOT

TOKEN = "a-token-of-this-test"
KEY = "sk-not-to-be-seen"
ASKED = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello"}]}


@dataclass(frozen=True)
class ProxyProcess:
    """The process, what it said of itself when it was ready, and its standard error."""

    process: subprocess.Popen[str]
    said: dict[str, Any]
    errors: IO[str]

    @property
    def url(self) -> str:
        """The first endpoint's."""
        return str(self.said["endpoints"][0]["url"])

    @property
    def control(self) -> str:
        """The control API's URL."""
        return str(self.said["control"]["url"])

    def complaints(self) -> str:
        """What it wrote to standard error so far."""
        self.errors.seek(0)
        return self.errors.read()

    def end(self, number: int) -> int:
        """Its exit code after a signal."""
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def proxy_process(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None, token: str | None = TOKEN
) -> Iterator[ProxyProcess]:
    """The proxy of folder/catalog.yaml's environment "staging", once it is ready; `folder` is where it runs."""
    command = [sys.executable, "-m", "tiercli", "proxy", "--catalog", "catalog.yaml", "--env", "staging"]
    if "--control" not in arguments:
        command += ["--control", "127.0.0.1:0"]
    if "--metrics" not in arguments:
        command += ["--metrics", "127.0.0.1:0"]
    variables = {name: value for name, value in os.environ.items() if name != "TIERCLI_PROXY_TOKEN"}
    variables |= {"NO_COLOR": "1", "PYTHONPATH": str(ROOT), **(environment or {})}
    if token is not None:
        variables["TIERCLI_PROXY_TOKEN"] = token
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [*command, "--format", "json", *arguments],
            cwd=folder,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert process.stdout is not None
            text = ""
            while not text.endswith("\n}\n"):
                line = process.stdout.readline()
                if not line:
                    errors.seek(0)
                    raise AssertionError(f"it ended with {process.wait(30)}: {errors.read()}")
                text += line
            yield ProxyProcess(process, json.loads(text), errors)
        finally:
            process.kill()
            process.wait(30)
            assert process.stdout is not None
            process.stdout.close()


async def upstream(seen: list[dict[str, str]], **more: Any) -> tuple[web.ServerRunner, int]:
    """A server that answers every call, and notes its headers."""

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        seen.append({name.lower(): value for name, value in request.headers.items()})
        return web.Response(body=openai_answer(), content_type="application/json")

    runner = web.ServerRunner(web.Server(serve), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, **more).start()
    return runner, runner.addresses[0][1]


def run_scenario(check: Callable[[], Awaitable[None]]) -> None:
    uvloop.run(check())  # type: ignore[arg-type]


async def until(found: Callable[[], bool]) -> None:
    """Wait for something that comes, though nobody can say when."""
    for _ in range(1000):
        if found():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come")

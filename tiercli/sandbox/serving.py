"""How the simulated estate's processes serve: on loopback, without an access log, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence

import uvloop
from aiohttp import web

from tiercli.errors import BackendError, ExitCode, TiercliError
from tiercli.sandbox.ports import LOOPBACK

_BACKLOG = 1024
_SHUTDOWN_S = 0.5


async def listen(application: web.Application, port: int) -> web.AppRunner:
    """Serve `application` on a loopback port until the runner is cleaned up. Raises BackendError where it is taken."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, port, backlog=_BACKLOG).start()
    except OSError as error:
        await runner.cleanup()
        raise BackendError(f"cannot listen on {LOOPBACK}:{port}: {error.strerror}") from error
    return runner


def run_process(start: Callable[[], Awaitable[Sequence[web.AppRunner]]]) -> int:
    """Run what `start` begins until SIGTERM or SIGINT; the exit code. An error is one line on standard error."""
    try:
        uvloop.run(_serve(start))
    except TiercliError as error:
        sys.stderr.write(f"error: {error.message}\n")
        return error.exit_code
    return ExitCode.OK


async def _serve(start: Callable[[], Awaitable[Sequence[web.AppRunner]]]) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runners = await start()
    await stopped.wait()
    for runner in runners:
        await runner.cleanup()

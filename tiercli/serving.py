"""How tiercli's own servers listen, and how a process of them ends: by SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AbstractAsyncContextManager

import uvloop
from aiohttp import web

from tiercli.errors import BackendError, ExitCode, TiercliError

LOOPBACK = "127.0.0.1"
_BACKLOG = 1024
_SHUTDOWN_S = 0.5


async def listen(application: web.Application, port: int, host: str = LOOPBACK) -> web.AppRunner:
    """Serve `application`, without an access log, until the runner is cleaned up. Port 0 takes any free port. Raises
    BackendError if the address is not available."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=_BACKLOG).start()
    except OSError as error:
        await runner.cleanup()
        raise BackendError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return runner


def run_process(serving: AbstractAsyncContextManager[object]) -> int:
    """Keep `serving` open until SIGTERM or SIGINT; the exit code. An error is one line on standard error."""
    try:
        uvloop.run(_until_stopped(serving))
    except TiercliError as error:
        sys.stderr.write(f"error: {error.message}\n")
        return error.exit_code
    return ExitCode.OK


async def _until_stopped(serving: AbstractAsyncContextManager[object]) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with serving:
        await stopped.wait()

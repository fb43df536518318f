"""The fault proxy: a reverse proxy that passes calls and streams through, and injects faults under leases.

As a process: python -m tiercli.faults.proxy.process --plan FILE
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from aiohttp import web

from tiercli.errors import InvalidInput
from tiercli.faults.kinds.interface import BrokenOff, Call, Fault, Forward
from tiercli.faults.proxy.control_api import ControlApi
from tiercli.faults.proxy.forwarding import Forwarder, Passage, open_session, reset
from tiercli.faults.proxy.injection import Injection, InjectionPoint, make_injection, routes_json
from tiercli.faults.proxy.leases import Leases
from tiercli.faults.proxy.listener import RouteListener
from tiercli.faults.proxy.observing import Ending, Observation, Observer
from tiercli.faults.proxy.routes import Route, load_proxy_plan
from tiercli.serving import LOOPBACK, listen, run_process


class FaultProxy:
    """One listener a route, and a control API. `start`, then `close`; nothing runs outside the running event loop."""

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        control_port: int,
        token: str,
        control_host: str = LOOPBACK,
        passages: Mapping[str, Passage] | None = None,
        observers: Mapping[str, Observer] | None = None,
    ) -> None:
        """With a port of 0 the system chooses; see `ports` and `control_port` after `start`. `passages` and `observers` are by the
        route's name. An observed route accepts connections even if a fault refuses them, and resets them at their first request:
        otherwise their calls could not be counted."""
        self._routes = tuple(routes)
        self._token = token
        self._control_host, self._control_port = control_host, control_port
        self._passages, self._observers = passages or {}, observers or {}
        self._listeners: dict[str, RouteListener] = {}
        self._leases: Leases[Injection] = Leases()
        self._session: aiohttp.ClientSession | None = None
        self._control: web.AppRunner | None = None
        self.in_flight = 0
        self._drained = asyncio.Event()

    @property
    def ports(self) -> dict[str, int]:
        """The port of each route, by the route's name."""
        return {name: listener.port for name, listener in self._listeners.items()}

    @property
    def addresses(self) -> dict[str, str]:
        """host:port of each route, by the route's name."""
        return {name: listener.address for name, listener in self._listeners.items()}

    @property
    def control_port(self) -> int:
        """The control API's port."""
        if self._control is None:
            return self._control_port
        return int(self._control.addresses[0][1])

    def faults_on(self) -> list[str]:
        """The faults that are on, each with its routes, in words."""
        return [f"{lease.kind.name} on {', '.join(lease.places)}" for lease in self._leases.active()]

    async def start(self) -> None:
        """Listen on every port. Raises BackendError if an address is not available; then nothing listens."""
        self._session = open_session()
        points: list[InjectionPoint] = []
        try:
            for route in self._routes:
                points.append(await self._open(route, self._session))
            api = ControlApi(
                self._leases,
                lambda name, request: make_injection(name, request, points),
                token=self._token,
                routes=lambda: routes_json(points),
            )
            self._control = await listen(api.application(), self._control_port, self._control_host)
        except BaseException:
            await self.close()
            raise

    async def drain(self, within_s: float) -> None:
        """Turn every fault off, take no new connections, and wait up to `within_s` seconds for the calls under way."""
        await self._leases.close()
        for listener in self._listeners.values():
            await listener.retire()
        if self.in_flight:
            self._drained.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), within_s)

    async def close(self) -> None:
        """Turn every fault off, reset what is open, give the ports back."""
        await self._leases.close()
        if self._control is not None:
            await self._control.cleanup()
        for listener in self._listeners.values():
            await listener.close()
        if self._session is not None:
            await self._session.close()

    async def _open(self, route: Route, session: aiohttp.ClientSession) -> InjectionPoint:
        forwarder = Forwarder(session, route.upstream, self._passages.get(route.name))
        observer = self._observers.get(route.name)

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            observation = (
                observer.begin(request.method, request.raw_path, request.headers) if observer is not None else None
            )
            resets = listener.resets
            self.in_flight += 1
            try:
                if not point.faults:
                    return await forwarder.relay(request, observation)
                return await _answer_with_faults(request, forwarder, point.faults, observation)
            except BaseException:  # mostly the cancelled handler of a connection that is gone
                if observation is not None:  # a fault reset the connection, or the client did
                    observation.ended(Ending.BROKEN if listener.resets != resets else Ending.CLIENT_GONE)
                raise
            finally:
                self.in_flight -= 1
                if not self.in_flight:
                    self._drained.set()

        server = web.Server(
            answer,
            handler_cancellation=True,  # if a client hangs up, its upstream call ends too
            access_log=None,
            auto_decompress=False,
        )
        listener = RouteListener(server, route.host, route.port, stays_open=observer is not None)
        self._listeners[route.name] = listener
        point = InjectionPoint(route, listener)
        await listener.open()
        return point


async def _answer_with_faults(
    request: web.BaseRequest, forwarder: Forwarder, faults: Sequence[Fault], observation: Observation | None
) -> web.StreamResponse:
    call = Call(request.method, request.raw_path, asyncio.get_running_loop().time())
    body = await forwarder.read_first(request, observation) if observation is not None else None
    async with AsyncExitStack() as opened:
        forward: Forward = functools.partial(forwarder.fetch, request, opened, body, observation)
        for fault in faults:
            forward = functools.partial(fault.exchange, call, forward)
        try:
            answer = await forward()
        except BrokenOff:
            if observation is not None:
                observation.ended(Ending.BROKEN)
            reset(request.transport)
            return web.Response(status=502)
        return await forwarder.reply(request, answer, observation)


@contextlib.asynccontextmanager
async def serving(plan_file: Path) -> AsyncIterator[None]:
    """Serve the proxy of a plan file. Raises InvalidInput, BackendError."""
    plan = load_proxy_plan(plan_file)
    try:
        token = plan.token_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidInput(f"cannot read the control token in {plan.token_file}: {error.strerror}") from error
    if not token:
        raise InvalidInput(f"the control token in {plan.token_file} is empty")
    proxy = FaultProxy(plan.routes, control_port=plan.control_port, token=token)
    await proxy.start()
    try:
        yield
    finally:
        await proxy.close()


def main() -> int:
    """The process."""
    parser = argparse.ArgumentParser(prog="python -m tiercli.faults.proxy.process", description=__doc__)
    parser.add_argument("--plan", type=Path, required=True, help='a JSON file with the key "proxy"')
    return run_process(serving(parser.parse_args().plan))


if __name__ == "__main__":
    sys.exit(main())

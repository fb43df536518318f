"""The measuring point as a whole: the proxy of an environment's endpoints, its metrics and its audit log, until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tiercli.audit.audit_log import AuditLog
from tiercli.catalog.model import Catalog
from tiercli.errors import BackendError
from tiercli.exporters.serving import serve_metrics
from tiercli.faults.proxy.process import FaultProxy
from tiercli.measuring.control_token import ControlToken
from tiercli.measuring.endpoints import ProxiedEndpoint
from tiercli.measuring.measures import READ_LIMIT, Measures

GRACE_S = 10.0  # for calls that are under way at the end
_TICK_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Where what is measured goes: host and port of the metrics, and the audit log. `hash_callers`: records have a hash of each
    caller. `read_limit`: bytes of a request, and of an answer that is no stream, that are read."""

    metrics: tuple[str, int]
    audit_log: Path
    hash_callers: bool = False
    read_limit: int = READ_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyUrls:
    """URLs: of the endpoints by the names of their routes, of the control API, and of the metrics, if any."""

    endpoints: dict[str, str]
    control: str
    metrics: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    """The calls so far, 0 if they are not measured, and the faults that are on, in words."""

    calls: int
    failed: int
    faults: tuple[str, ...]


async def run_proxy(
    catalog: Catalog,
    endpoints: Sequence[ProxiedEndpoint],
    *,
    control: tuple[str, int],
    token: ControlToken,
    measured: Measured | None,
    ready: Callable[[ProxyUrls], None],
    tick: Callable[[Progress], None],
) -> bool:
    """Proxy `endpoints` until SIGTERM or SIGINT; whether it was SIGINT. `ready` is called once everything listens, `tick` every
    half second. At the end calls under way have GRACE_S seconds; a second signal ends them at once.

    Raises BackendError if an address is not available, or the audit log cannot be written."""
    signals: list[signal.Signals] = []
    stopped, hurried = asyncio.Event(), asyncio.Event()

    def stop(number: signal.Signals) -> None:
        signals.append(number)
        (hurried if stopped.is_set() else stopped).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    with ExitStack() as opened:
        measures, audit, url = None, None, None
        if measured is not None:
            audit = opened.enter_context(_audit_log(measured.audit_log))
            measures = Measures(catalog, audit, hash_callers=measured.hash_callers, read_limit=measured.read_limit)
        proxy = FaultProxy(
            [endpoint.route for endpoint in endpoints],
            control_host=control[0],
            control_port=control[1],
            token=token.secret,
            passages={endpoint.route.name: endpoint.passage for endpoint in endpoints},
            observers={end.route.name: measures.observer(end.place, end.wire) for end in endpoints}
            if measures is not None
            else {},
        )
        _raise_open_files()
        if measures is not None and measured is not None:
            url = opened.enter_context(serve_metrics(measures, *measured.metrics))
        await proxy.start()
        try:
            ready(_urls(proxy, control[0], url))
            while not stopped.is_set():
                calls, failed = (measures.calls, measures.failed) if measures is not None else (0, 0)
                tick(Progress(calls, failed, tuple(proxy.faults_on())))
                if audit is not None:
                    audit.follow_rotation()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), _TICK_S)
            await _drain(proxy, hurried)
        finally:
            await proxy.close()
            await asyncio.sleep(0)  # calls that were broken off by that end now
            if measures is not None:
                measures.count_ended()
    return signals[0] is signal.SIGINT


async def _drain(proxy: FaultProxy, hurried: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(proxy.drain(GRACE_S)), asyncio.ensure_future(hurried.wait())]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def _urls(proxy: FaultProxy, control_host: str, metrics: str | None) -> ProxyUrls:
    host = f"[{control_host}]" if ":" in control_host else control_host
    return ProxyUrls(
        endpoints={name: f"http://{address}" for name, address in proxy.addresses.items()},
        control=f"http://{host}:{proxy.control_port}",
        metrics=metrics,
    )


@contextmanager
def _audit_log(path: Path) -> Iterator[AuditLog]:
    try:
        audit = AuditLog(path)
    except OSError as error:
        raise BackendError(
            f"cannot write the audit log {path}: {error.strerror}", hint="choose another file with --audit-log"
        ) from error
    try:
        yield audit
    finally:
        audit.close()


def _raise_open_files() -> None:
    """Allow as many open files as the system does: each call under way has two connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

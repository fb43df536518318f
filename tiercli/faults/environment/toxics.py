"""What Toxiproxy can bring about of a fault. It passes bytes on and knows nothing of calls, answers and streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tiercli.faults.kinds.blackhole import BlackholeSettings
from tiercli.faults.kinds.interface import FaultSettings
from tiercli.faults.kinds.latency import LatencySettings
from tiercli.faults.kinds.outage import OutageSettings

_P95 = 0.9  # of a uniform distribution: its 95th percentile lies at 0.9 of the way from its middle to its end


@dataclass(frozen=True, slots=True)
class Disabled:
    """The proxy does not listen, and its connections are closed."""

    said: str = "does not listen"


@dataclass(frozen=True, slots=True)
class Toxic:
    """A toxic: its type, the direction it works in, its attributes as Toxiproxy's API has them, and what that comes to."""

    type: str
    stream: str
    attributes: Mapping[str, int]
    said: str


@dataclass(frozen=True, slots=True)
class Cannot:
    """It is not for Toxiproxy: why, and what would be."""

    why: str
    could: str = ""


def toxiproxy_way(fault: str, settings: FaultSettings) -> Disabled | Toxic | Cannot:
    """How Toxiproxy brings a fault about, if it can."""
    match settings:
        case OutageSettings(mode="refused"):
            return Disabled()
        case OutageSettings():
            # Towards the endpoint: the call does not reach it, and what it would have cost is not spent.
            return Toxic("reset_peer", "upstream", {"timeout": 0}, "resets each connection at its first request")
        case BlackholeSettings():
            return Toxic("timeout", "upstream", {"timeout": 0}, "passes no request on, and answers none")
        case LatencySettings():
            return _latency(settings)
    return Cannot(f"it passes bytes on, and {fault} needs to know calls and their answers", "tiercli proxy")


def _latency(settings: LatencySettings) -> Toxic | Cannot:
    if settings.mode != "add":
        return Cannot("it adds to what an endpoint takes, and cannot fill it up (mode target)", "mode: add")
    if settings.seed is not None:
        return Cannot("what it draws cannot be drawn again (seed)", "no seed")
    spread = settings.distribution()
    jitter = (spread.p95 - spread.p50) / _P95
    latency_ms, jitter_ms = round(spread.p50 * 1000), round(jitter * 1000)
    if latency_ms < 1:
        return Cannot("it counts in milliseconds", "at least 0.001 seconds")
    if jitter_ms > latency_ms:
        could = f"p95_seconds up to {(1 + _P95) * spread.p50:g}, or seconds"
        return Cannot(f"it draws from a uniform distribution, which cannot have p95_seconds {spread.p95:g}", could)
    said = f"adds {latency_ms} ms"
    if jitter_ms:
        said += f" ± {jitter_ms} ms, uniformly: the median and the 95th percentile are as asked"
    return Toxic("latency", "downstream", {"latency": latency_ms, "jitter": jitter_ms}, said)

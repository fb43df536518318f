"""A fault of the proxy: on which routes it is on, and which routes can have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tiercli.errors import InvalidInput
from tiercli.faults.kinds import FAULTS
from tiercli.faults.kinds.check import check_fault
from tiercli.faults.kinds.interface import ROUTE_LABELS, SCRAPE_LABELS, Fault, HoldsListener, Listener
from tiercli.faults.proxy.control_api import FaultRequest
from tiercli.faults.proxy.leases import Lease
from tiercli.faults.proxy.routes import Route


@dataclass(eq=False, slots=True)
class InjectionPoint:
    """A route as faults see it: its listener, and the faults that are on there, the first applied innermost."""

    route: Route
    listener: Listener
    faults: tuple[Fault, ...] = ()


@dataclass(eq=False, slots=True, kw_only=True)
class Injection(Lease):
    """One fault on one set of routes."""

    fault: Fault
    points: Sequence[InjectionPoint]
    on_at: list[InjectionPoint] = field(default_factory=list)  # where it is on, or may be

    @property
    def places(self) -> tuple[str, ...]:
        """The names of the routes that it is for."""
        return tuple(point.route.name for point in self.points)

    async def turn_on(self) -> None:
        """Turn the fault on at every point, one after another."""
        for point in self.points:
            self.on_at.append(point)
            point.faults = (*point.faults, self.fault)
            if isinstance(self.fault, HoldsListener):
                await self.fault.applied(point.listener)

    async def turn_off(self) -> None:
        """Turn the fault off at every point where it is still on."""
        for point in tuple(self.on_at):
            point.faults = tuple(fault for fault in point.faults if fault is not self.fault)
            if isinstance(self.fault, HoldsListener):
                await self.fault.cleared(point.listener)
            self.on_at.remove(point)


def make_injection(name: str, request: FaultRequest, points: Sequence[InjectionPoint]) -> Injection:
    """The fault that `request` asks for, not on yet. Raises InvalidInput if there is no such fault, setting or target."""
    kind, settings = check_fault(request.fault, request.target, request.settings)
    if kind.build is None:
        raise InvalidInput(f"{request.fault} is injected by the {kind.injector}, not by the fault proxy")
    matching = [point for point in points if point.route.matches(request.target)]
    unable = [point.route.name for point in matching if not _can_have(point.route, request.fault)]
    if unable:
        raise InvalidInput(f"{', '.join(unable)} cannot have the fault {request.fault}")
    if not matching:
        routes = "; ".join(
            f"{point.route.name} ({', '.join(f'{label}={value}' for label, value in point.route.labels.items())})"
            for point in points
        )
        raise InvalidInput(f"the target {request.target} matches no route; the routes are: {routes}")
    return Injection(
        id=name,
        kind=kind,
        target=request.target,
        settings=settings,
        lease_s=request.lease_s,
        fault=kind.build(settings),
        points=matching,
    )


def routes_json(points: Sequence[InjectionPoint]) -> list[dict[str, Any]]:
    """The routes as the control API lists them: name, address, labels, faults."""
    return [
        {
            "name": point.route.name,
            "address": point.listener.address,
            "labels": dict(point.route.labels),
            "faults": possible_faults(point.route),
        }
        for point in points
    ]


def possible_faults(route: Route) -> list[str]:
    """The faults of the proxy that a route can have: those of calls on a route of calls, those of scrapes on one of scrapes."""
    label = SCRAPE_LABELS[0] if SCRAPE_LABELS[0] in route.labels else ROUTE_LABELS[0]
    known = [kind.name for kind in FAULTS if kind.build is not None and label in kind.target_labels]
    return [name for name in known if _can_have(route, name)]


def _can_have(route: Route, fault: str) -> bool:
    return route.faults is None or fault in route.faults

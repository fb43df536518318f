"""What a drill does in a live environment, decided before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiercli.catalog.environment import Endpoint as Server
from tiercli.catalog.environment import Environment, ProviderEndpoint
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import Candidate, Catalog
from tiercli.clients.credentials import read_headers
from tiercli.clients.environment_access import Access, access_to
from tiercli.drills.load.cost import LoadBound, bound_load, unpriced
from tiercli.drills.load.plan import Endpoint, LoadWay
from tiercli.drills.load.running import first_call_within_s
from tiercli.drills.sites.estate import Estate
from tiercli.drills.sites.surge import surge_load
from tiercli.drills.spec.mix import build_mix
from tiercli.drills.spec.model import DrillSpec, FaultUse, Load
from tiercli.durations import format_duration, parse_duration
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.money import dollars
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of

_READING_S = 25.0  # of Prometheus' record, after the phases


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePlan:
    """A drill on an environment. `spec` has the load that is sent there; `bounds`: of each load, the drill's own first;
    `seconds`: how long it takes at most; `cap_usd`: where it stops."""

    name: str
    environment: Environment
    spec: DrillSpec
    estate: Estate
    prometheus: Access
    alertmanager: Access
    gateway: Access | None
    grafana: Access | None
    way: LoadWay
    bounds: tuple[LoadBound, ...]
    seconds: float
    cap_usd: float

    @property
    def calls(self) -> float:
        """Calls at most, of all loads."""
        return sum(bound.total_calls for bound in self.bounds)

    @property
    def usd(self) -> float:
        """What they cost at most, US dollars."""
        return sum(bound.total_usd for bound in self.bounds)


def plan_live(
    loaded: LoadedCatalog,
    name: str,
    spec: DrillSpec,
    templates: Sequence[Path] = (),
    *,
    cap_usd: float | None = None,
    rate: float | None = None,
) -> LivePlan:
    """The plan of `spec` in environment `name`. `rate`: arrivals per second in place of those that give every window as many calls
    as in the sandbox. Raises InvalidInput for a server that is not named, a secret that is not there, a price that is not known, a
    cost above the cap (`cap_usd`, or the environment's)."""
    environment = loaded.environment(name)
    why = "a drill needs the servers of its environment"
    accesses = _accesses(loaded, name, environment, why)
    gateway = accesses.get("gateway")
    sent = _as_sent(spec, environment.factor, rate)
    way = gateway_way(loaded, name, gateway) if gateway else _direct_way(loaded, name, environment, sent)
    timing = timing_of(loaded.catalog, environment.factor)
    seconds, bounds = _bounds(sent, loaded.catalog, environment)
    alarm_set = load_alarm_set(loaded, timing, templates)
    plan = LivePlan(
        name=name,
        environment=environment,
        spec=sent,
        estate=Estate(loaded, timing, alarm_set.alarms, alarm_set.boards),
        prometheus=accesses["prometheus"],
        alertmanager=accesses["alertmanager"],
        gateway=gateway,
        grafana=accesses.get("grafana"),
        way=way,
        bounds=bounds,
        seconds=seconds,
        cap_usd=environment.spend_cap_usd if cap_usd is None else cap_usd,
    )
    _check_spend(plan, loaded)
    if gateway is None:
        _check_error_share(sent, loaded.catalog, environment)
    return plan


def _accesses(loaded: LoadedCatalog, name: str, environment: Environment, why: str) -> dict[str, Access]:
    """The way to each server. Raises InvalidInput with every one that there is none to."""
    accesses: dict[str, Access] = {}
    problems: list[Problem] = []
    for part in ("prometheus", "alertmanager", "gateway", "grafana"):
        if part in ("gateway", "grafana") and getattr(environment, part) is None:
            continue
        try:
            accesses[part] = access_to(loaded, name, part, why)
        except InvalidInput as error:
            problems += error.problems
    if problems:
        raise InvalidInput(why, problems)
    return accesses


def gateway_way(loaded: LoadedCatalog, name: str, gateway: Access) -> LoadWay:
    """The way to an environment's gateway, with the keys of its tenants. Raises InvalidInput for a secret that is not there."""
    environment = loaded.environment(name)
    folder = Path(loaded.document.name).parent
    keys = {"": gateway.headers["Authorization"]} if "Authorization" in gateway.headers else {}
    for tenant, credential in environment.tenants.items():
        place = loaded.document.locate(("environments", name, "tenants", tenant))
        keys |= {tenant: read_headers(Server(url=gateway.url, credential=credential), folder, place)["Authorization"]}
    server = environment.gateway
    ca_file = str(folder / server.ca_file) if server is not None and server.ca_file else None
    return LoadWay(_base(gateway.url), keys=keys, ca_file=ca_file)


def surges(spec: DrillSpec, factor: float) -> list[tuple[FaultUse, float]]:
    """The faults by load, and how long each lasts, real seconds."""
    fault_s = parse_duration(spec.phases.fault or "0s")
    return [
        (use, ((parse_duration(use.until) if use.until else fault_s) - parse_duration(use.from_)) / factor)
        for use in spec.faults
        if FAULTS_BY_NAME[use.fault].injector == "load"
    ]


def _as_sent(spec: DrillSpec, factor: float, rate: float | None) -> DrillSpec:
    """The drill where time runs `factor` times as fast. Guards count calls in a window: where time runs slower, as many arrive in it
    of a smaller load, and of smaller loads that are faults. What the drill allows itself of real time becomes longer."""
    share = factor / spec.factor if rate is None else rate / spec.load.arrivals_per_second
    faults = tuple(
        use.model_copy(update={"settings": _surge_scaled(use.settings, share)})
        if FAULTS_BY_NAME[use.fault].injector == "load"
        else use
        for use in spec.faults
    )
    allowed_s = parse_duration(spec.abort.wall_clock) * spec.factor / factor
    abort = spec.abort.model_copy(update={"wall_clock": format_duration(allowed_s)})
    return spec.model_copy(update={"load": _scaled(spec.load, share), "faults": faults, "abort": abort})


def _surge_scaled(settings: Mapping[str, Any], share: float) -> dict[str, Any]:
    rates = ("calls_per_second", "grows_to")
    return {key: value * share if key in rates and value is not None else value for key, value in settings.items()}


def _scaled(load: Load, share: float) -> Load:
    def scaled(value: float | None) -> float | None:
        return None if value is None else value * share

    steps = tuple(
        step.model_copy(update={"arrivals_per_second": step.arrivals_per_second * share}) for step in load.steps
    )
    return load.model_copy(
        update={
            "arrivals_per_second": load.arrivals_per_second * share,
            "peak_per_second": scaled(load.peak_per_second),
            "steps": steps,
        }
    )


def _direct_way(loaded: LoadedCatalog, name: str, environment: Environment, spec: DrillSpec) -> LoadWay:
    """Without a gateway calls go to where `tiercli proxy` stands for each endpoint. Raises InvalidInput where it cannot be found."""
    problems, places = [], ("environments", name, "endpoints")
    if not environment.endpoints:
        place = loaded.document.locate(("environments", name), key=True)
        accepted = "gateway: {url: …}, or endpoints with where `tiercli proxy` listens for each"
        raise InvalidInput("calls have nowhere to go", [Problem(place, f"{name!r} names no gateway", accepted)])
    for at, endpoint in enumerate(environment.endpoints):
        if endpoint.listen.endswith(":0"):
            message = f"tiercli proxy listens anywhere for {endpoint.provider} in {endpoint.region}"
            problems.append(Problem(loaded.document.locate((*places, at)), message, "listen: HOST:PORT"))
    by_alias = {
        alias: endpoints
        for alias in {part.alias for part in build_mix(spec.load, loaded.catalog)}
        if (endpoints := _endpoints(loaded.catalog, alias, environment.endpoints))
    }
    missing = {part.alias for part in build_mix(spec.load, loaded.catalog)} - set(by_alias)
    if missing:
        place = loaded.document.locate(places)
        message = f"no endpoint serves {', '.join(sorted(missing))}, which the drill calls"
        problems.append(Problem(place, message, "an endpoint of one of its candidates"))
    if problems:
        raise InvalidInput("calls have nowhere to go", problems)
    return LoadWay(next(iter(by_alias.values()))[0].url, endpoints=by_alias)


def _check_error_share(spec: DrillSpec, catalog: Catalog, environment: Environment) -> None:
    """Raise InvalidInput where the drill's own faults would abort it: without a gateway nobody falls back."""
    answered = 1.0
    for use in spec.faults:
        kind = FAULTS_BY_NAME[use.fault]
        if kind.fails is None:
            continue
        hit = 0.0
        for part in build_mix(spec.load, catalog):
            at = _served_by(catalog, part.alias, environment.endpoints)
            labels = at.model_dump() | {"tier": catalog.providers[at.provider].tier} if at is not None else {}
            hit += part.share if all(labels.get(name) == value for name, value in use.target.items()) else 0.0
        answered *= 1 - hit * kind.fails(kind.settings.model_validate(use.settings))
    failing = 1 - answered
    if failing > spec.abort.error_share:
        message = f"{failing:.0%} of the calls will fail, since nobody falls back; the drill aborts above {spec.abort.error_share:.0%}"
        accepted = "abort.error_share above that, or a load.mix that calls other aliases too"
        raise InvalidInput(f"{spec.name} is not begun", [Problem(Location(spec.name), message, accepted)])


def _served_by(catalog: Catalog, alias: str, endpoints: Sequence[ProviderEndpoint]) -> Candidate | None:
    """The first candidate of an alias that has an endpoint."""
    at = {(endpoint.provider, endpoint.region) for endpoint in endpoints}
    return next((one for one in catalog.aliases[alias].candidates if (one.provider, one.region) in at), None)


def _endpoints(catalog: Catalog, alias: str, endpoints: Sequence[ProviderEndpoint]) -> tuple[Endpoint, ...]:
    """Those of the first candidate that has any."""
    for candidate in catalog.aliases[alias].candidates:
        servers = catalog.providers[candidate.provider].servers
        usable = tuple(
            Endpoint(f"http://{endpoint.listen}", endpoint.wire, candidate.model)
            for endpoint in endpoints
            if (endpoint.provider, endpoint.region) == (candidate.provider, candidate.region)
            and (endpoint.server is None or candidate.model in servers[endpoint.server].models)
        )
        if usable:
            return usable
    return ()


def _base(url: str) -> str:
    """A base URL without the API's own path, which some write with it."""
    return url.rstrip("/").removesuffix("/v1")


def _bounds(spec: DrillSpec, catalog: Catalog, environment: Environment) -> tuple[float, tuple[LoadBound, ...]]:
    """How long there is load at most, real seconds, and what it does: while the first call is waited for, through the phases, while
    faults are turned on and off, while the record is read."""
    phases, factor = (spec.phases.steady, spec.phases.fault, spec.phases.recovery), environment.factor
    declared = (*environment.injectors.commands, *environment.injectors.hooks)
    turning_s = max((2 * parse_duration(fault.within) for fault in declared), default=0.0)
    seconds = sum(parse_duration(length) for length in phases if length) / factor
    seconds += first_call_within_s(spec.load) + turning_s + _READING_S
    own = bound_load(spec.load, catalog, seconds, factor)
    return seconds, (own, *(bound_load(surge_load(use, s), catalog, s, 1) for use, s in surges(spec, factor)))


def _check_spend(plan: LivePlan, loaded: LoadedCatalog) -> None:
    aliases: Mapping[str, None] = dict.fromkeys(alias for bound in plan.bounds for alias in bound.calls)
    problems = [
        Problem(
            loaded.document.locate(("price_book", "models")),
            f"no price of {candidate.model} of {candidate.provider}: what the drill costs cannot be known",
            "input and output, US dollars per million tokens",
        )
        for candidate in dict.fromkeys(unpriced(loaded.catalog, list(aliases)))
    ]
    if plan.usd > plan.cap_usd:
        place = loaded.document.locate(("environments", plan.name, "spend_cap_usd"))
        message = (
            f"{plan.calls:,.0f} calls may cost {dollars(plan.usd)} USD, "
            f"and a drill in {plan.name!r} {dollars(plan.cap_usd)} USD"
        )
        problems.append(Problem(place, message, "spend_cap_usd, --spend-cap, or fewer calls: --rate"))
    if problems:
        raise InvalidInput(f"{plan.spec.name} is not begun", problems)

"""What a drill is: load, phases, faults, what must come of it, and what may. One YAML file a drill.

All durations are simulated time; a sandbox divides them by the factor. Cross references (alarms, targets, receivers) and
times that contradict each other are checked in check.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from tiercli.catalog.field_types import Duration, Model, Name, PlainName, Severity

Share = Annotated[float, Field(ge=0, le=1)]
Weights = dict[Name, PositiveFloat]
# What the catalog says of such an alert.
FromCatalog = Literal["$catalog"]


class Mix(Model):
    """Relative weights. Not given: every alias that a tenant may call, the first of the catalog most (6, 3, 2, all others together 1);
    every tenant and feature that the catalog allows, equally."""

    aliases: Weights | None = None
    tenants: Weights | None = None
    features: Weights | None = None


class LoadStep(Model):
    """From `after` the start of the load, arrivals per second."""

    after: Duration
    arrivals_per_second: NonNegativeFloat


class Load(Model):
    """Open arrivals: a provider that stalls does not throttle the load that proves it stalled.

    constant: `arrivals_per_second` throughout. ramp: from there to `peak_per_second` over `ramp_over`, then held.
    spike: `peak_per_second` between `spike_from` and `spike_from` + `spike_for`. steps: as `steps` says.
    """

    shape: Literal["constant", "ramp", "spike", "steps"] = "constant"
    arrivals_per_second: PositiveFloat
    peak_per_second: PositiveFloat | None = None
    ramp_over: Duration | None = None
    spike_from: Duration | None = None
    spike_for: Duration | None = None
    steps: tuple[LoadStep, ...] = ()
    users: PositiveInt = Field(default=20, description="Locust users that share the arrivals")
    stream_share: Share = 0.3
    repeat_share: Share = Field(
        default=0.05, description="of the calls that do not stream: a known question at temperature 0, for the cache"
    )
    mix: Mix = Mix()
    prompt_tokens: PositiveInt = 300
    max_tokens: PositiveInt = 400
    locustfile: str | None = Field(default=None, description="your own Locust user classes, in place of tiercli's")


class Phases(Model):
    """How long each phase lasts. A drill without faults has only `steady`."""

    steady: Duration
    fault: Duration | None = None
    recovery: Duration | None = None


class FaultUse(Model):
    """One fault on one target during the fault phase; `from` and `until` count from that phase's start."""

    fault: PlainName
    target: dict[str, Name] = {}
    settings: dict[str, Any] = {}
    from_: Duration = Field(default="0s", alias="from")
    until: Duration | None = None


class Expectation(Model):
    """An alert that must fire, arrive and resolve. Deadlines count from the fault, `resolved_within` from its end. `holds`:
    once it fires, it does so without a break until the fault is over."""

    alert: str
    labels: dict[str, Name] = {}
    severity: Severity | FromCatalog
    receiver: PlainName | FromCatalog | None = Field(
        default=None, description="None: it must be in Alertmanager and interrupt nobody"
    )
    also: tuple[str, ...] = Field(
        default=(), description="receivers of Alertmanager's that may hear of it too, in the catalog or not: an archive"
    )
    firing_within: Duration
    holds: bool = False
    notified_within: Duration | None = None
    resolved_within: Duration | None = Field(
        default=None, description="None: nothing that a drill can do ends it, and that it resolves is not judged"
    )

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels, its name among them, is the one that is expected."""
        return all(labels.get(name) == value for name, value in {**self.labels, "alertname": self.alert}.items())


class Allowance(Model):
    """An alert that may fire too. `suppressed`: only while Alertmanager inhibits it and no receiver is notified."""

    alert: str
    labels: dict[str, Name] = {}
    state: Literal["any", "suppressed"] = "any"


class Evidence(Model):
    """A panel that must show the fault: a row of its query's answer that carries these labels is new with the fault on, or its
    value another than before (by a quarter of the larger of both, at least)."""

    dashboard: PlainName
    panel: str
    row: dict[str, Name] = {}


class Abort(Model):
    """Past any of these the drill stops, clears its faults, and says so. `error_share` is of all calls; where a live drill calls
    endpoints without a gateway, it is above what failed in the steady phase. `wall_clock` is real time."""

    error_share: Share = 0.5
    wall_clock: Duration = "10m"


class SandboxSettings(Model):
    """How the simulated estate differs from the catalog, where a drill needs that to happen on one machine; nothing of it is
    so in a live drill."""

    gateway_instances: PositiveInt | None = Field(default=None, description="instances of the gateway")
    local_concurrency: PositiveInt | None = Field(default=None, description="calls that a local server serves at once")
    local_room: PositiveFloat | None = Field(
        default=None,
        description="the same, such that the servers of the role `local` carry so many calls per second beside the ordinary load",
    )
    local_overload: PositiveFloat | None = Field(
        default=None,
        description="the same, such that the ordinary load there and the largest surge of the drill are so many times what they carry",
    )
    tenant_calls_per_10s: PositiveInt | None = Field(default=None, description="a tenant's quota at each provider")
    tenant_room: PositiveFloat | None = Field(
        default=None,
        description="the same, of the role `saver` alone, such that it may call so often per second beside the ordinary load",
    )
    quota_of: Name | None = Field(default=None, description="the only tenant with that quota; the others have room")
    error_ratio: Share | None = Field(
        default=None,
        description="failures in ordinary times: at a high factor a window holds so few calls that chance alone would do",
    )
    budget_used: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="the share of its monthly budget that every tenant was on course to spend; 0.6 if not named",
    )
    cooldown: Duration | None = Field(
        default=None, description="how long the gateway leaves out a candidate that fails again and again"
    )


class DrillSpec(Model):
    """One drill. Any name of the catalog may be a role in its place: `$cloud.provider` (roles.py); `$$` is a dollar sign."""

    name: PlainName
    description: str
    owner: PlainName | FromCatalog
    needs: tuple[str, ...] = Field(
        default=(), description="roles and recorded series without which the drill does not apply to an estate"
    )
    alarms: tuple[str, ...] = Field(default=(), description="the alarms that this drill is proof for")
    factor: Annotated[float, Field(ge=1, le=1000)] = 30
    from_day_of_month: Annotated[int, Field(ge=1, le=28)] = Field(
        default=1, description="earlier in a month an alarm says nothing by design, and the drill could prove nothing"
    )
    sandbox: SandboxSettings = SandboxSettings()
    load: Load
    phases: Phases
    faults: tuple[FaultUse, ...] = ()
    expect: tuple[Expectation, ...] = ()
    allow: tuple[Allowance, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    abort: Abort = Abort()

"""What a drill concluded. Built by verdict.py from spec and timeline; drawn by report.py; written as result.json."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tiercli.errors import ExitCode

# A sentence for people; result.json calls it "said".
Message = Annotated[str, Field(alias="said")]


class Outcome(StrEnum):
    """Three-valued: an environment that failed proves nothing either way."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a drill with this outcome."""
        return {"passed": ExitCode.OK, "failed": ExitCode.CHECK_FAILED}.get(self.value, ExitCode.ENVIRONMENT_FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """Time to detect in its parts, real seconds; None where that part was not reached.

    fault → the raw metrics change → pending → firing → Alertmanager → receiver; then clear → resolved.
    `floor_s` is what the alarm's own configuration makes unavoidable from departure to firing, `floor_parts` its terms;
    `tolerance_s` is one scrape plus one evaluation.
    """

    departed_s: float | None = None
    pending_s: float | None = None
    firing_s: float | None = None
    alertmanager_s: float | None = None
    notified_s: float | None = None
    resolved_s: float | None = None
    floor_s: float | None = None
    floor_parts: dict[str, float] = field(default_factory=dict)
    tolerance_s: float | None = None

    @property
    def time_to_detect_s(self) -> float | None:
        """From the change in the raw data to firing, real seconds; None where one of them is not known."""
        return None if self.firing_s is None or self.departed_s is None else self.firing_s - self.departed_s

    @property
    def above_floor_s(self) -> float | None:
        """How much longer than its floor the alarm took to detect, real seconds."""
        took_s = self.time_to_detect_s
        return None if took_s is None or self.floor_s is None else took_s - self.floor_s

    @property
    def sentence(self) -> str | None:
        """Time to detect against its floor, for people; None where one of them is not known."""
        if self.time_to_detect_s is None or self.floor_s is None or self.tolerance_s is None:
            return None
        return (
            f"Detected {self.time_to_detect_s:.1f} s after the metrics changed. The rate window and `for` make "
            f"{self.floor_s:.1f} s the minimum; one scrape and one evaluation add up to {self.tolerance_s:.1f} s."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that an expectation demands, and whether it came: "fired within 4m", "reached platform-pager", …"""

    name: str
    outcome: Outcome
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationResult:
    """One expected alert: what was asked, what came."""

    alert: str
    labels: dict[str, str]
    severity: str
    receiver: str
    outcome: Outcome
    steps: tuple[Step, ...]
    detection: Detection = Detection()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unexpected:
    """An alert of this estate that nobody expected: active and not suppressed, or delivered though it should not be."""

    alert: str
    labels: dict[str, str]
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An alert that the spec allows or that is background: recorded and shown, and no fault of anyone."""

    alert: str
    labels: dict[str, str]
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """Whether the load that was planned was also started. Rates are requests per second."""

    planned_rate: float
    started_rate: float
    started: int
    failed: int
    sufficient: bool
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The verdict on one run."""

    drill: str
    outcome: Outcome
    reasons: tuple[str, ...]
    started_at: float
    ended_at: float
    factor: float
    expectations: tuple[ExpectationResult, ...] = ()
    unexpected: tuple[Unexpected, ...] = ()
    seen: tuple[Seen, ...] = ()
    evidence: tuple[Step, ...] = ()
    load: LoadResult | None = None
    interrupted: bool = False
    estate: str = ""
    env: str = ""
    catalog_sha256: str = ""
    rules: dict[str, str] = field(default_factory=dict)  # by alarm, the fingerprint of its deployed rule
    starved: bool = False  # inconclusive, for want of the machine's time

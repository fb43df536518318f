"""Whether the audit log has every call: records against the calls that Prometheus counted, gaps, and how far back it goes.

Pure; the counts come from log_files.py and a Prometheus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# The recorded series of calls, the same for every kind of gateway.
BUCKET_S = 300.0
CALLS_SERIES = "tier:gateway:calls:increase5m"
# increase() extrapolates to the ends of its window: a few calls more or fewer than there were.
_UNCERTAIN_CALLS = 5.0
# Above this share records were written or read twice, or calls are not counted.
MOST = 1.005


@dataclass(frozen=True, slots=True)
class Bucket:
    """Five minutes that end at `end` (seconds since 1970): records in the log, and calls that Prometheus counted; None if it has
    no value."""

    end: float
    records: int
    counted: float | None


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which records are missing: since, until (seconds since 1970), the calls and the records in it."""

    since: float
    until: float
    counted: float
    records: int


@dataclass(frozen=True, slots=True)
class Kept:
    """How long records are kept for a purpose, seconds: as the catalog demands, and as the log has them. `began_s`: the age of
    the traffic, if the operator states it."""

    purpose: str
    demanded_s: float
    kept_s: float
    began_s: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the log goes back as far as it must."""
        return self.kept_s >= min(self.demanded_s, self.began_s if self.began_s is not None else self.demanded_s)


@dataclass(frozen=True, slots=True)
class Completeness:
    """The verdict. `share`: records over counted calls, of the buckets that Prometheus has; None if no call was counted.
    `unknown_s`: seconds for which Prometheus has no value."""

    records: int
    counted: float
    share: float | None
    gaps: tuple[Gap, ...]
    unknown_s: float
    at_least: float

    @property
    def complete(self) -> bool:
        """Whether the log has every counted call."""
        enough = self.share is None or self.share >= self.at_least or self.counted - self.records <= _UNCERTAIN_CALLS
        return enough and not self.gaps

    @property
    def excessive(self) -> bool:
        """Whether the log has more records than there were calls: then its share proves nothing."""
        return self.share is not None and self.share > MOST and self.records - self.counted > _UNCERTAIN_CALLS


def judge_completeness(buckets: Sequence[Bucket], at_least: float) -> Completeness:
    """Compare each bucket. A gap is a run of buckets with less than half as many records as calls."""
    known = [(bucket, bucket.counted) for bucket in buckets if bucket.counted is not None]
    counted = sum(calls for _, calls in known)
    records = sum(bucket.records for bucket, _ in known)
    gaps: list[Gap] = []
    for bucket, calls in known:
        if calls <= _UNCERTAIN_CALLS or bucket.records >= calls / 2:
            continue
        since = bucket.end - BUCKET_S
        if gaps and gaps[-1].until == since:
            last = gaps.pop()
            gaps.append(Gap(last.since, bucket.end, last.counted + calls, last.records + bucket.records))
        else:
            gaps.append(Gap(since, bucket.end, calls, bucket.records))
    share = records / counted if counted > 0 else None
    return Completeness(records, counted, share, tuple(gaps), BUCKET_S * (len(buckets) - len(known)), at_least)


def judge_retention(
    demanded_s: Mapping[str, float], oldest: float | None, now: float, began: float | None = None
) -> list[Kept]:
    """Each purpose that the catalog demands a retention for, against the oldest record (seconds since 1970; None for an
    empty log)."""
    kept = 0.0 if oldest is None else max(0.0, now - oldest)
    since = None if began is None else max(0.0, now - began)
    return [Kept(purpose, seconds, kept, since) for purpose, seconds in demanded_s.items()]

"""What can go wrong: the registry of faults. One file a fault; to add one, see docs/adding-a-fault.md."""

from __future__ import annotations

from typing import Any

from tiercli.faults.audit_loss import AUDIT_LOSS
from tiercli.faults.audit_silence import AUDIT_SILENCE
from tiercli.faults.blackhole import BLACKHOLE
from tiercli.faults.cost_runaway import COST_RUNAWAY
from tiercli.faults.errors import ERRORS
from tiercli.faults.eval_drift import EVAL_DRIFT
from tiercli.faults.gateway_down import GATEWAY_DOWN
from tiercli.faults.gpu_saturation import GPU_SATURATION
from tiercli.faults.interface import FaultKind
from tiercli.faults.latency import LATENCY
from tiercli.faults.malformed import MALFORMED
from tiercli.faults.outage import OUTAGE
from tiercli.faults.output_length_drift import OUTPUT_LENGTH
from tiercli.faults.price_change import PRICE_CHANGE
from tiercli.faults.queue_build_up import QUEUE_BUILD_UP
from tiercli.faults.quota_exhaustion import QUOTA_EXHAUSTION
from tiercli.faults.refusal_drift import REFUSAL
from tiercli.faults.replica_down import REPLICA_DOWN
from tiercli.faults.scrape_failure import SCRAPE_FAILURE
from tiercli.faults.slow_stream import SLOW_STREAM
from tiercli.faults.throttle import THROTTLE
from tiercli.faults.truncated_stream import TRUNCATED_STREAM
from tiercli.faults.unclassified import UNCLASSIFIED
from tiercli.faults.wrong_region import WRONG_REGION

FAULTS: tuple[FaultKind[Any], ...] = (
    OUTAGE,
    BLACKHOLE,
    LATENCY,
    SLOW_STREAM,
    TRUNCATED_STREAM,
    ERRORS,
    THROTTLE,
    UNCLASSIFIED,
    MALFORMED,
    WRONG_REGION,
    REFUSAL,
    OUTPUT_LENGTH,
    SCRAPE_FAILURE,
    GATEWAY_DOWN,
    REPLICA_DOWN,
    GPU_SATURATION,
    QUEUE_BUILD_UP,
    QUOTA_EXHAUSTION,
    COST_RUNAWAY,
    AUDIT_SILENCE,
    AUDIT_LOSS,
    EVAL_DRIFT,
    PRICE_CHANGE,
)
FAULTS_BY_NAME: dict[str, FaultKind[Any]] = {kind.name: kind for kind in FAULTS}

__all__ = ["FAULTS", "FAULTS_BY_NAME"]

"""What can go wrong: the registry of faults. One file a fault; to add one, see docs/adding-a-fault.md."""

from __future__ import annotations

from typing import Any

from tiercli.faults.kinds.audit_loss import AUDIT_LOSS
from tiercli.faults.kinds.audit_silence import AUDIT_SILENCE
from tiercli.faults.kinds.blackhole import BLACKHOLE
from tiercli.faults.kinds.cost_runaway import COST_RUNAWAY
from tiercli.faults.kinds.errors import ERRORS
from tiercli.faults.kinds.eval_drift import EVAL_DRIFT
from tiercli.faults.kinds.gateway_down import GATEWAY_DOWN
from tiercli.faults.kinds.gpu_saturation import GPU_SATURATION
from tiercli.faults.kinds.interface import FaultKind
from tiercli.faults.kinds.latency import LATENCY
from tiercli.faults.kinds.malformed import MALFORMED
from tiercli.faults.kinds.outage import OUTAGE
from tiercli.faults.kinds.output_length_drift import OUTPUT_LENGTH
from tiercli.faults.kinds.price_change import PRICE_CHANGE
from tiercli.faults.kinds.queue_build_up import QUEUE_BUILD_UP
from tiercli.faults.kinds.quota_exhaustion import QUOTA_EXHAUSTION
from tiercli.faults.kinds.refusal_drift import REFUSAL
from tiercli.faults.kinds.replica_down import REPLICA_DOWN
from tiercli.faults.kinds.scrape_failure import SCRAPE_FAILURE
from tiercli.faults.kinds.slow_stream import SLOW_STREAM
from tiercli.faults.kinds.throttle import THROTTLE
from tiercli.faults.kinds.truncated_stream import TRUNCATED_STREAM
from tiercli.faults.kinds.unclassified import UNCLASSIFIED
from tiercli.faults.kinds.wrong_region import WRONG_REGION

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

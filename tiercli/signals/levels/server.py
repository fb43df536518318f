"""The local inference servers."""

from __future__ import annotations

from typing import Final

from tiercli.signals.recorded_series import Recorded

_V: Final = "servers"
_S = ("model", "server")

SERIES: tuple[Recorded, ...] = (
    Recorded("tier:server:info", ("server", "provider", "region"), "GPUs of each server of the catalog."),
    Recorded("tier:server:queue_depth:sum", _S, "Requests waiting at a local server.", "short", _V),
    Recorded("tier:server:running:sum", _S, "Requests being served.", "short", _V),
    Recorded("tier:server:cache_usage:ratio", _S, "Share of the KV cache in use.", "percentunit", _V),
    Recorded("tier:server:tokens:rate5m", (*_S, "direction"), "Tokens per second.", "short", _V),
    Recorded("tier:server:requests:rate5m", _S, "Requests finished per second.", "reqps", _V),
    Recorded("tier:server:latency_seconds:p95_5m", _S, "95th percentile of a request's duration.", "s", _V),
    Recorded("tier:server:ttft_seconds:p95_5m", _S, "95th percentile of time to first token.", "s", _V),
    Recorded("tier:server:queue_seconds:p95_5m", _S, "95th percentile of the time in the queue.", "s", _V),
    Recorded("tier:server:queue_depth:threshold", _S, "Above this a growing queue is an alarm.", "short"),
    Recorded("tier:server:queue_depth:deriv10m", _S, "How fast the queue grows, requests per second.", "short"),
)

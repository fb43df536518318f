"""Local tier: GPUs, queues and throughput of our own servers, for capacity."""

from __future__ import annotations

from collections.abc import Collection

from tiercli.catalog.model import Catalog
from tiercli.dashboards.build.finish import finish, query_variable
from tiercli.dashboards.build.panels import Query, firing, limit_of, timeseries

NAME = "local"
TITLE = "LLM traffic: local tier"
DESCRIPTION = "Our own inference servers: how busy they are, what waits, and when they will be full."
_SERVER = '{server=~"${server}"}'


def build(catalog: Catalog, unbound: Collection[str] = ()) -> str | None:
    """The dashboard's JSON; None when no source has any of it."""
    panels = [
        timeseries(
            NAME,
            "GPU utilisation",
            "Share of 10 minutes in which each GPU was busy; red: where GpuUtilizationHigh begins. Latency grows above it.",
            "percentunit",
            [
                Query("tier:gpu:utilization:mean10m", "{{instance}} GPU {{gpu}}"),
                limit_of("max(tier:gpu:utilization:threshold)", "alarm"),
            ],
            (12, 9),
        ),
        timeseries(
            NAME,
            "Queue depth",
            "Requests waiting at each server, by model; red: where LocalQueueGrowing begins if it keeps rising.",
            "short",
            [
                Query(f"tier:server:queue_depth:sum{_SERVER}", "{{server}} {{model}} waiting"),
                limit_of(f"max(tier:server:queue_depth:threshold{_SERVER})", "alarm"),
            ],
            (12, 9),
        ),
        timeseries(
            NAME,
            "Saturation forecast",
            "GPU utilisation a week from now if the last 6 hours go on as they did. Above 1: full before then.",
            "percentunit",
            [
                Query(
                    "predict_linear(tier:gpu:utilization:mean10m[6h], 7 * 86400)", "{{instance}} GPU {{gpu}} in a week"
                )
            ],
            (8, 8),
        ),
        timeseries(
            NAME,
            "GPU memory",
            "Share of memory in use. Model and KV cache fill it by design; a climb to 100 % ends in failures.",
            "percentunit",
            [Query("tier:gpu:memory:ratio", "{{instance}} GPU {{gpu}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "KV cache",
            "Share of each server's KV cache in use. At 100 % requests are preempted or wait.",
            "percentunit",
            [Query(f"tier:server:cache_usage:ratio{_SERVER}", "{{server}} {{model}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "GPU power",
            "Power drawn. Much less than its neighbours under load: throttled, or not used.",
            "watt",
            [Query("tier:gpu:power:watts", "{{instance}} GPU {{gpu}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "GPU temperature",
            "Temperature of each GPU. A climb without more load: cooling.",
            "celsius",
            [Query("tier:gpu:temperature:celsius", "{{instance}} GPU {{gpu}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Requests running",
            "Requests being served at once. Flat at its limit with a queue behind it: the server is full.",
            "short",
            [Query(f"tier:server:running:sum{_SERVER}", "{{server}} {{model}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Server latency",
            "p95 of a request as the server itself sees it, in the queue, and to the first token.",
            "s",
            [
                Query(f"tier:server:latency_seconds:p95_5m{_SERVER}", "{{server}} {{model}} whole"),
                Query(f"tier:server:queue_seconds:p95_5m{_SERVER}", "{{server}} {{model}} in the queue"),
                Query(f"tier:server:ttft_seconds:p95_5m{_SERVER}", "{{server}} {{model}} first token"),
            ],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Server throughput",
            "Tokens per second by direction: what the hardware yields.",
            "short",
            [Query(f"tier:server:tokens:rate5m{_SERVER}", "{{server}} {{model}} {{direction}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Requests finished",
            "Requests per second that each server finished.",
            "reqps",
            [Query(f"tier:server:requests:rate5m{_SERVER}", "{{server}} {{model}}")],
            (8, 8),
        ),
        firing(NAME, catalog, 'alertname=~"GpuUtilizationHigh|LocalQueueGrowing"', (24, 6)),
    ]
    variables = [query_variable("server", "Server", "label_values(tier:server:info, server)")]
    return finish(NAME, TITLE, DESCRIPTION, catalog, panels, variables, unbound)

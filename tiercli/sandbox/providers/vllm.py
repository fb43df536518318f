"""The metrics of a simulated local server, as vLLM exposes them and catalogs/sources/vllm.yaml reads them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]

_LATENCY = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
_FIRST_TOKEN = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560),
)
_LABELS = ("model_name", "engine")
_ENGINE = "0"


class SimulatedVllm:
    """Counters and histograms that last as long as the server. `concurrency`: calls that fill the KV cache."""

    def __init__(self, models: tuple[str, ...], server: str, concurrency: int | None) -> None:
        self.registry = registry = CollectorRegistry()
        self._models, self._server, self._concurrency = models, server, concurrency

        def gauge(name: str, text: str, labels: tuple[str, ...] = _LABELS) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        def counter(name: str, text: str, *more: str) -> Counter:
            return Counter(name, text, (*_LABELS, *more), registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, _LABELS, buckets=buckets, registry=registry)

        self._running = gauge("vllm:num_requests_running", "Calls being served.")
        self._waiting = gauge("vllm:num_requests_waiting", "Calls in the queue.")
        self._cache = gauge("vllm:kv_cache_usage_perc", "Share of the KV cache in use.")
        self._depth = gauge(
            "ai_gateway_local_queue_depth", "Requests waiting at a local inference server.", ("model", "server")
        )
        self._prompt = counter("vllm:prompt_tokens_total", "Prompt tokens.")
        self._generated = counter("vllm:generation_tokens_total", "Generated tokens.")
        self._finished = counter("vllm:request_success_total", "Calls finished.", "finished_reason")
        self._latency = histogram("vllm:e2e_request_latency_seconds", "A call's duration.", _LATENCY)
        self._first_token = histogram("vllm:time_to_first_token_seconds", "Time to first token.", _FIRST_TOKEN)
        self._queued = histogram("vllm:request_queue_time_seconds", "Time in the queue.", _LATENCY)

    def load(self, running: dict[str, int], waiting: dict[str, int]) -> None:
        """How many calls are served and wait now, by model."""
        used = min(1.0, sum(running.values()) / (self._concurrency or sum(running.values()) + 1))
        for model in self._models:
            self._running.labels(model, _ENGINE).set(running[model])
            self._waiting.labels(model, _ENGINE).set(waiting[model])
            self._cache.labels(model, _ENGINE).set(used)
            self._depth.labels(model, self._server).set(waiting[model])

    def finished(
        self, model: str, reason: str, queued: float, first_token: float, whole: float, tokens: tuple[int, int]
    ) -> None:
        """A call has ended: seconds in the queue, to the first token and in all; prompt and generated tokens."""
        self._finished.labels(model, _ENGINE, reason).inc()
        self._queued.labels(model, _ENGINE).observe(queued)
        self._first_token.labels(model, _ENGINE).observe(first_token)
        self._latency.labels(model, _ENGINE).observe(whole)
        self._prompt.labels(model, _ENGINE).inc(tokens[0])
        self._generated.labels(model, _ENGINE).inc(tokens[1])

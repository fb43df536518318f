"""The GPU exporter: what a source reads, as metrics. Every scrape reads anew."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tiercli.exporters.gpu_samples import GPU_LABELS, METRICS, GpuSample, GpuSource


class GpuExporter(Collector):
    """Collects from one source. The series of a GPU that is lost end; a counter says so."""

    def __init__(self, source: GpuSource) -> None:
        self._source = source
        self._failed: Counter[tuple[str, str]] = Counter()
        self._lost: Counter[tuple[str, str, str]] = Counter()
        self._reading = threading.Lock()  # NVML is safe to share; what is counted here is not

    def collect(self) -> Iterator[Metric]:
        """Read every GPU now."""
        with self._reading:
            reading = self._source.read()
            self._failed.update(reading.failed)
            self._lost.update(reading.lost)
            failed, lost = dict(self._failed), dict(self._lost)
        by_metric: dict[str, list[GpuSample]] = {}
        for sample in reading.samples:
            by_metric.setdefault(sample.metric, []).append(sample)
        for metric in METRICS:
            if metric.name in by_metric:
                labels = (*GPU_LABELS, *metric.labels)
                kind = GaugeMetricFamily if metric.type == "gauge" else CounterMetricFamily
                family = kind(metric.name, metric.help, labels=labels)
                for sample in by_metric[metric.name]:
                    family.add_metric((*sample.gpu, *sample.labels), sample.value)
                yield family
        yield GaugeMetricFamily("tiercli_gpu_devices", "GPUs that the driver names.", value=reading.devices)
        errors = CounterMetricFamily(
            "tiercli_gpu_read_errors_total",
            "Readings that went wrong, by what was read and why.",
            labels=["reading", "error"],
        )
        for key, count in sorted(failed.items()):
            errors.add_metric(key, count)
        yield errors
        gone = CounterMetricFamily(
            "tiercli_gpu_lost_total", "GPUs that fell off the bus while this ran.", labels=GPU_LABELS
        )
        for gpu, count in sorted(lost.items()):
            gone.add_metric(gpu, count)
        yield gone

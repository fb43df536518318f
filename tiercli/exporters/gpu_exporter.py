"""The GPU exporter: its metrics, where their samples come from, and how they are collected. Every scrape reads anew."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

GPU_LABELS = ("gpu", "uuid", "name")


@dataclass(frozen=True, slots=True)
class GpuMetric:
    """A metric: GPU_LABELS, and `labels` beside them."""

    name: str
    type: Literal["gauge", "counter"]
    help: str
    labels: tuple[str, ...] = ()


METRICS = (
    GpuMetric(
        "tiercli_gpu_utilization_ratio", "gauge", "Share of the last sample period in which a kernel ran, 0 to 1."
    ),
    GpuMetric("tiercli_gpu_memory_utilization_ratio", "gauge", "Share in which memory was read or written, 0 to 1."),
    GpuMetric("tiercli_gpu_memory_used_bytes", "gauge", "Memory in use."),
    GpuMetric("tiercli_gpu_memory_total_bytes", "gauge", "Total memory."),
    GpuMetric("tiercli_gpu_power_watts", "gauge", "Power drawn; a mean of one second since Ampere."),
    GpuMetric("tiercli_gpu_power_limit_watts", "gauge", "The power limit that is enforced."),
    GpuMetric("tiercli_gpu_energy_joules_total", "counter", "Energy drawn since the driver was loaded."),
    GpuMetric("tiercli_gpu_temperature_celsius", "gauge", "Temperature of the GPU."),
    GpuMetric("tiercli_gpu_clock_hertz", "gauge", "Clocks: sm, memory, graphics.", ("clock",)),
    GpuMetric("tiercli_gpu_throttled", "gauge", "1 while the clocks are held down for this reason.", ("reason",)),
    GpuMetric(
        "tiercli_gpu_ecc_errors_total", "counter", "Memory errors since the driver was loaded, by kind.", ("kind",)
    ),
    GpuMetric("tiercli_gpu_mig_memory_used_bytes", "gauge", "Memory in use by a MIG device.", ("mig_uuid", "gi", "ci")),
    GpuMetric("tiercli_gpu_mig_memory_total_bytes", "gauge", "Memory of a MIG device.", ("mig_uuid", "gi", "ci")),
    GpuMetric("tiercli_gpu_process_memory_bytes", "gauge", "Memory in use by a process.", ("pid",)),
)
METRICS_BY_NAME = {metric.name: metric for metric in METRICS}


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One value: of a metric, a GPU (GPU_LABELS), and the metric's own labels."""

    metric: str
    gpu: tuple[str, str, str]
    value: float
    labels: tuple[str, ...] = ()


@dataclass
class GpuReading:
    """One reading of all GPUs. `devices`: how many there are. `failed`: failed readings, by what was read and why; a reading that a
    GPU does not support is not a failure. `lost`: GPUs that have fallen off the bus since the last reading."""

    samples: list[GpuSample] = field(default_factory=list)
    devices: int = 0
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    lost: list[tuple[str, str, str]] = field(default_factory=list)


class GpuSource(Protocol):
    """Where readings come from."""

    def read(self) -> GpuReading:
        """Read every GPU now. One GPU or one reading that fails raises nothing."""

    def close(self) -> None:
        """Release the source."""


class GpuExporter(Collector):
    """Collects from one source. The series of a lost GPU end; a counter counts it."""

    def __init__(self, source: GpuSource) -> None:
        self._source = source
        self._failed: Counter[tuple[str, str]] = Counter()
        self._lost: Counter[tuple[str, str, str]] = Counter()
        self._reading = threading.Lock()  # NVML is safe to share; the counters here are not

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
        yield GaugeMetricFamily("tiercli_gpu_devices", "GPUs that the driver lists.", value=reading.devices)
        errors = CounterMetricFamily(
            "tiercli_gpu_read_errors_total",
            "Failed readings, by what was read and why.",
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

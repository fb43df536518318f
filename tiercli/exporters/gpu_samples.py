"""What the GPU exporter exposes: its metrics, one sample of one of them, and where samples come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

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
    GpuMetric("tiercli_gpu_memory_total_bytes", "gauge", "Memory there is."),
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
    """One look at all GPUs. `devices`: how many there are. `failed`: readings that went wrong, by what was read and why; that a
    GPU does not have a reading is no failure. `lost`: GPUs that have fallen off the bus since the last look."""

    samples: list[GpuSample] = field(default_factory=list)
    devices: int = 0
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    lost: list[tuple[str, str, str]] = field(default_factory=list)


class GpuSource(Protocol):
    """Where readings come from."""

    def read(self) -> GpuReading:
        """What is so now. Raises nothing for what one GPU or one reading does."""

    def close(self) -> None:
        """Let go of what is held."""


def samples_of(
    metric: str, gpu: tuple[str, str, str], values: Iterable[tuple[tuple[str, ...], float]]
) -> list[GpuSample]:
    """The samples of one metric of one GPU, by its own labels."""
    return [GpuSample(metric, gpu, value, labels) for labels, value in values]

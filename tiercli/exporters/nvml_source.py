"""GPU readings through NVML, the library of NVIDIA's driver.

Unsupported readings (MIG has no utilisation, a consumer card no ECC) are omitted. Failed readings are counted and do not affect
the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pynvml

from tiercli.errors import BackendError
from tiercli.exporters.gpu_exporter import GpuReading, GpuSample

Gpu = tuple[str, str, str]
# (labels of the metric's own, value) of a device, by its handle.
_Read = Callable[[Any], Iterator[tuple[tuple[str, ...], float]]]

# NVML's clock event reasons that slow a GPU down, by bit.
_REASONS = {
    "sw_power_cap": "nvmlClocksEventReasonSwPowerCap",
    "hw_slowdown": "nvmlClocksEventReasonHwSlowdown",
    "sw_thermal": "nvmlClocksEventReasonSwThermalSlowdown",
    "hw_thermal": "nvmlClocksEventReasonHwThermalSlowdown",
    "hw_power_brake": "nvmlClocksEventReasonHwPowerBrakeSlowdown",
    "sync_boost": "nvmlClocksEventReasonSyncBoost",
}
_HINTS = {
    "NVMLError_LibraryNotFound": "NVIDIA's driver is not installed here; --simulate FILE replays readings",
    "NVMLError_DriverNotLoaded": "the driver's kernel module is not loaded: try nvidia-smi, or restart after its update",
    "NVMLError_LibRmVersionMismatch": "library and kernel module have different versions: restart after the driver's update",
    "NVMLError_NoPermission": "this user may not use the driver; in a container, give it the devices",
}


class NvmlSource:
    """The GPUs of this machine. `processes`: also the memory of each process, where that may be seen."""

    def __init__(self, nvml: Any = pynvml, *, processes: bool = False) -> None:
        """Raises BackendError if there is no driver."""
        self._nvml = nvml
        self._known: dict[int, Gpu] = {}
        self._gone: set[Gpu] = set()
        try:
            nvml.nvmlInit()
        except pynvml.NVMLError as error:
            name = type(error).__name__
            raise BackendError(f"no NVIDIA driver: {error}", hint=_HINTS.get(name, "does nvidia-smi work?")) from error
        number = self._number
        self._readings: dict[str, _Read] = {
            "tiercli_gpu_utilization_ratio": self._utilization,
            "tiercli_gpu_memory_utilization_ratio": self._memory_utilization,
            "tiercli_gpu_memory_used_bytes": lambda handle: number(self._memory(handle).used),
            "tiercli_gpu_memory_total_bytes": lambda handle: number(self._memory(handle).total),
            "tiercli_gpu_power_watts": lambda handle: number(nvml.nvmlDeviceGetPowerUsage(handle) / 1e3),
            "tiercli_gpu_power_limit_watts": lambda handle: number(nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3),
            "tiercli_gpu_energy_joules_total": lambda handle: number(
                nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
            ),
            "tiercli_gpu_temperature_celsius": self._temperature,
            "tiercli_gpu_clock_hertz": self._clocks,
            "tiercli_gpu_throttled": self._throttled,
            "tiercli_gpu_ecc_errors_total": self._ecc,
        }
        if processes:
            self._readings["tiercli_gpu_process_memory_bytes"] = self._processes

    def read(self) -> GpuReading:
        """Every reading of every GPU."""
        nvml, reading = self._nvml, GpuReading()
        try:
            reading.devices = nvml.nvmlDeviceGetCount()
        except pynvml.NVMLError as error:
            reading.failed["devices", _name(error)] += 1
            return reading
        for number in range(reading.devices):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(number)
                gpu = self._identity(number, handle)
                self._read_one(gpu, handle, reading)
            except pynvml.NVMLError as error:
                lost = self._known.get(number)
                if _name(error) != "GpuIsLost":
                    reading.failed["device", _name(error)] += 1
                elif lost is not None and lost not in self._gone:
                    self._gone.add(lost)
                    reading.lost.append(lost)
            else:
                self._gone.discard(gpu)
        return reading

    def close(self) -> None:
        """Shut NVML down."""
        try:
            self._nvml.nvmlShutdown()
        except pynvml.NVMLError:
            pass  # nothing is left to release

    def _read_one(self, gpu: Gpu, handle: Any, reading: GpuReading) -> None:
        """Raises NVMLError if the GPU is lost: none of its readings counts then."""
        samples: list[GpuSample] = []
        for metric, read in self._readings.items():
            try:
                samples += [GpuSample(metric, gpu, value, labels) for labels, value in read(handle)]
            except pynvml.NVMLError as error:
                self._note(metric, error, reading)
        try:
            samples += self._mig(gpu, handle)
        except pynvml.NVMLError as error:
            self._note("tiercli_gpu_mig", error, reading)
        reading.samples += samples

    def _note(self, what: str, error: pynvml.NVMLError, reading: GpuReading) -> None:
        name = _name(error)
        if name == "GpuIsLost":
            raise error
        if name not in ("NotSupported", "FunctionNotFound"):
            reading.failed[what.removeprefix("tiercli_gpu_"), name] += 1

    def _identity(self, number: int, handle: Any) -> Gpu:
        """Index, UUID and name. They are read once: a lost GPU no longer gives them."""
        if number not in self._known:
            uuid, name = self._nvml.nvmlDeviceGetUUID(handle), self._nvml.nvmlDeviceGetName(handle)
            self._known[number] = (str(number), _text(uuid), _text(name))
        return self._known[number]

    @staticmethod
    def _number(value: float) -> Iterator[tuple[tuple[str, ...], float]]:
        yield (), float(value)

    def _utilization(self, handle: Any) -> Iterator[tuple[tuple[str, ...], float]]:
        yield (), self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100

    def _memory_utilization(self, handle: Any) -> Iterator[tuple[tuple[str, ...], float]]:
        yield (), self._nvml.nvmlDeviceGetUtilizationRates(handle).memory / 100

    def _memory(self, handle: Any) -> Any:
        """Version 2, which does not count the driver's own memory as in use, if the driver has it."""
        nvml = self._nvml
        try:
            return nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
        except pynvml.NVMLError as error:
            if _name(error) not in ("FunctionNotFound", "NotSupported", "ArgumentVersionMismatch"):
                raise
            return nvml.nvmlDeviceGetMemoryInfo(handle)

    def _temperature(self, handle: Any) -> Iterator[tuple[tuple[str, ...], float]]:
        """By the newer call, if the driver has it."""
        nvml = self._nvml
        try:
            celsius = nvml.nvmlDeviceGetTemperatureV(handle, nvml.NVML_TEMPERATURE_GPU)
        except pynvml.NVMLError as error:
            if _name(error) not in ("FunctionNotFound", "NotSupported", "ArgumentVersionMismatch"):
                raise
            celsius = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
        yield (), float(celsius)

    def _clocks(self, handle: Any) -> Iterator[tuple[tuple[str, ...], float]]:
        nvml = self._nvml
        for name, kind in (
            ("sm", nvml.NVML_CLOCK_SM),
            ("memory", nvml.NVML_CLOCK_MEM),
            ("graphics", nvml.NVML_CLOCK_GRAPHICS),
        ):
            yield (name,), nvml.nvmlDeviceGetClockInfo(handle, kind) * 1e6

    def _throttled(self, handle: Any) -> Iterator[tuple[tuple[str, ...], float]]:
        nvml = self._nvml
        mask = nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
        for reason, bit in _REASONS.items():
            yield (reason,), float(bool(mask & getattr(nvml, bit)))

    def _ecc(self, handle: Any) -> Iterator[tuple[tuple[str, ...], float]]:
        nvml = self._nvml
        for kind, of in (
            ("corrected", nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED),
            ("uncorrected", nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
        ):
            yield (kind,), float(nvml.nvmlDeviceGetTotalEccErrors(handle, of, nvml.NVML_VOLATILE_ECC))

    def _processes(self, handle: Any) -> Iterator[tuple[tuple[str, ...], float]]:
        for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(handle):
            if process.usedGpuMemory is not None:  # not everybody may read it
                yield (str(process.pid),), float(process.usedGpuMemory)

    def _mig(self, gpu: Gpu, handle: Any) -> Iterator[GpuSample]:
        """The memory of each MIG device; NVML has no utilisation of them."""
        nvml = self._nvml
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
        if not current:
            return
        for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            try:
                device = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
            except pynvml.NVMLError as error:
                if _name(error) == "NotFound":
                    continue
                raise
            labels = (
                _text(nvml.nvmlDeviceGetUUID(device)),
                str(nvml.nvmlDeviceGetGpuInstanceId(device)),
                str(nvml.nvmlDeviceGetComputeInstanceId(device)),
            )
            memory = self._memory(device)
            yield GpuSample("tiercli_gpu_mig_memory_used_bytes", gpu, float(memory.used), labels)
            yield GpuSample("tiercli_gpu_mig_memory_total_bytes", gpu, float(memory.total), labels)


def _name(error: pynvml.NVMLError) -> str:
    return type(error).__name__.removeprefix("NVMLError_")


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value

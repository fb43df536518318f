"""A fake of the functions of pynvml that the GPU exporter calls, for machines without a GPU: fake, because there is none."""

# ruff: noqa: N802 - named as the functions that it stands for

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml

SHARED_CONSTANTS = (
    "NVML_TEMPERATURE_GPU", "NVML_CLOCK_SM", "NVML_CLOCK_MEM", "NVML_CLOCK_GRAPHICS",
    "NVML_MEMORY_ERROR_TYPE_CORRECTED", "NVML_MEMORY_ERROR_TYPE_UNCORRECTED", "NVML_VOLATILE_ECC", "nvmlMemory_v2",
    "nvmlClocksEventReasonSwPowerCap", "nvmlClocksEventReasonHwSlowdown", "nvmlClocksEventReasonSwThermalSlowdown",
    "nvmlClocksEventReasonHwThermalSlowdown", "nvmlClocksEventReasonHwPowerBrakeSlowdown",
    "nvmlClocksEventReasonSyncBoost",
)  # fmt: skip


class FakeNvml:
    """`gpus` GPUs that are alike. `errors`: by function, or by (function, GPU's index), the NVML error that it raises."""

    def __init__(self, gpus: int = 2) -> None:
        self.gpus = gpus
        self.errors: dict[Any, int] = {}
        self.mig = False
        self.throttle_mask = pynvml.nvmlClocksEventReasonSwPowerCap
        for name in SHARED_CONSTANTS:
            setattr(self, name, getattr(pynvml, name))

    def _answer(self, function: str, index: int | None, value: Any) -> Any:
        error = self.errors.get((function, index), self.errors.get(function))
        if error is not None:
            raise pynvml.NVMLError(error)
        return value

    def nvmlInit(self) -> None:
        self._answer("nvmlInit", None, None)

    def nvmlShutdown(self) -> None:
        self._answer("nvmlShutdown", None, None)

    def nvmlDeviceGetCount(self) -> int:
        return int(self._answer("nvmlDeviceGetCount", None, self.gpus))

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return int(self._answer("nvmlDeviceGetHandleByIndex", index, index))

    def nvmlDeviceGetUUID(self, handle: Any) -> str:
        return f"GPU-{handle}"

    def nvmlDeviceGetName(self, handle: int) -> bytes:
        return b"NVIDIA Fake"  # older versions of the library answer with bytes

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        return self._answer("nvmlDeviceGetUtilizationRates", handle, SimpleNamespace(gpu=42, memory=17))

    def nvmlDeviceGetMemoryInfo(self, handle: Any, version: int | None = None) -> Any:
        name = "nvmlDeviceGetMemoryInfo" if version is None else "nvmlDeviceGetMemoryInfo_v2"
        used = 3e10 if version is None else 2e10
        return self._answer(name, handle, SimpleNamespace(used=int(used), total=int(8e10)))

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return int(self._answer("nvmlDeviceGetPowerUsage", handle, 312_500))

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: int) -> int:
        return int(self._answer("nvmlDeviceGetEnforcedPowerLimit", handle, 700_000))

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        return int(self._answer("nvmlDeviceGetTotalEnergyConsumption", handle, 5_000_000))

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:
        return int(self._answer("nvmlDeviceGetTemperature", handle, 60))

    def nvmlDeviceGetTemperatureV(self, handle: int, sensor: int) -> int:
        return int(self._answer("nvmlDeviceGetTemperatureV", handle, 61))

    def nvmlDeviceGetClockInfo(self, handle: int, kind: int) -> int:
        return int(self._answer("nvmlDeviceGetClockInfo", handle, 1_980))

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: int) -> int:
        return int(self._answer("nvmlDeviceGetCurrentClocksEventReasons", handle, self.throttle_mask))

    def nvmlDeviceGetTotalEccErrors(self, handle: int, kind: int, counter: int) -> int:
        return int(self._answer("nvmlDeviceGetTotalEccErrors", handle, 3 * kind))

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:
        told, untold = SimpleNamespace(pid=10, usedGpuMemory=1 << 30), SimpleNamespace(pid=11, usedGpuMemory=None)
        return list(self._answer("nvmlDeviceGetComputeRunningProcesses", handle, [told, untold]))

    def nvmlDeviceGetMigMode(self, handle: int) -> tuple[int, int]:
        self._answer("nvmlDeviceGetMigMode", handle, None)
        return int(self.mig), int(self.mig)

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: int) -> int:
        return 3

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: int, index: int) -> str:
        if index == 1:  # a gap: not every place is taken
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return f"{handle}/{index}"

    def nvmlDeviceGetGpuInstanceId(self, device: str) -> int:
        return int(device[-1])

    def nvmlDeviceGetComputeInstanceId(self, device: str) -> int:
        return 0

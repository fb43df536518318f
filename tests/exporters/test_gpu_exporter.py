"""The GPU exporter: every reading in its unit, and no reading or GPU that goes wrong takes another with it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pynvml
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Done
from tests.exporters.fake_nvml import FakeNvml
from tiercli.errors import BackendError, InvalidInput
from tiercli.exporters.gpu_exporter import METRICS, GpuExporter
from tiercli.exporters.nvml_source import NvmlSource
from tiercli.exporters.replayed_gpus import ReplayedGpus
from tiercli.signals.bindings import known_binding

Run = Callable[..., Done]
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def nvml() -> FakeNvml:
    return FakeNvml()


def scrape(exporter: GpuExporter) -> Series:
    registry = CollectorRegistry()
    registry.register(exporter)
    return series(generate_latest(registry).decode())


def series(text: str) -> Series:
    return {
        (sample.name, tuple(sorted((key, value) for key, value in sample.labels.items() if key not in ("uuid", "name")))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }  # fmt: skip


def of(found: Series, name: str, **labels: str) -> float | None:
    return found.get((name, tuple(sorted(labels.items()))))


def test_every_reading_is_there_in_base_units(nvml: FakeNvml) -> None:
    found = scrape(GpuExporter(NvmlSource(nvml, processes=True)))
    for gpu in ("0", "1"):
        assert of(found, "tiercli_gpu_utilization_ratio", gpu=gpu) == 0.42
        assert of(found, "tiercli_gpu_memory_utilization_ratio", gpu=gpu) == 0.17
        assert of(found, "tiercli_gpu_memory_used_bytes", gpu=gpu) == 2e10
        assert of(found, "tiercli_gpu_memory_total_bytes", gpu=gpu) == 8e10
        assert of(found, "tiercli_gpu_power_watts", gpu=gpu) == 312.5
        assert of(found, "tiercli_gpu_power_limit_watts", gpu=gpu) == 700
        assert of(found, "tiercli_gpu_energy_joules_total", gpu=gpu) == 5000
        assert of(found, "tiercli_gpu_temperature_celsius", gpu=gpu) == 61
        assert of(found, "tiercli_gpu_clock_hertz", gpu=gpu, clock="sm") == 1.98e9
        assert of(found, "tiercli_gpu_throttled", gpu=gpu, reason="sw_power_cap") == 1
        assert of(found, "tiercli_gpu_throttled", gpu=gpu, reason="hw_thermal") == 0
        assert of(found, "tiercli_gpu_ecc_errors_total", gpu=gpu, kind="corrected") == 0
        assert of(found, "tiercli_gpu_ecc_errors_total", gpu=gpu, kind="uncorrected") == 3
        assert of(found, "tiercli_gpu_process_memory_bytes", gpu=gpu, pid="10") == 2**30
        assert of(found, "tiercli_gpu_process_memory_bytes", gpu=gpu, pid="11") is None
    assert of(found, "tiercli_gpu_devices") == 2
    assert not [name for name, _ in found if "errors" in name and "ecc" not in name]


def test_a_process_is_told_only_where_that_is_asked_for(nvml: FakeNvml) -> None:
    assert not [name for name, _ in scrape(GpuExporter(NvmlSource(nvml))) if "process" in name]


def test_what_a_gpu_does_not_have_is_left_out_and_no_error(nvml: FakeNvml) -> None:
    nvml.errors = {
        "nvmlDeviceGetTotalEccErrors": pynvml.NVML_ERROR_NOT_SUPPORTED,
        "nvmlDeviceGetMigMode": pynvml.NVML_ERROR_NOT_SUPPORTED,
        "nvmlDeviceGetUtilizationRates": pynvml.NVML_ERROR_NOT_SUPPORTED,
    }
    found = scrape(GpuExporter(NvmlSource(nvml)))
    names = {name for name, _ in found}
    assert names.isdisjoint({"tiercli_gpu_ecc_errors_total", "tiercli_gpu_utilization_ratio"})
    assert of(found, "tiercli_gpu_power_watts", gpu="0") == 312.5
    assert "tiercli_gpu_read_errors_total" not in names


@pytest.mark.parametrize(
    "error", [pynvml.NVML_ERROR_UNKNOWN, pynvml.NVML_ERROR_NO_PERMISSION, pynvml.NVML_ERROR_TIMEOUT]
)
def test_a_reading_that_goes_wrong_is_counted_and_the_others_are_told(nvml: FakeNvml, error: int) -> None:
    exporter = GpuExporter(NvmlSource(nvml))
    nvml.errors = {("nvmlDeviceGetPowerUsage", 1): error}
    name = type(pynvml.NVMLError(error)).__name__.removeprefix("NVMLError_")
    for times in (1, 2):
        found = scrape(exporter)
        assert of(found, "tiercli_gpu_power_watts", gpu="0") == 312.5
        assert of(found, "tiercli_gpu_power_watts", gpu="1") is None
        assert of(found, "tiercli_gpu_temperature_celsius", gpu="1") == 61
        assert of(found, "tiercli_gpu_read_errors_total", reading="power_watts", error=name) == times


@pytest.mark.parametrize("function", ["nvmlDeviceGetHandleByIndex", "nvmlDeviceGetTemperatureV"])
def test_the_series_of_a_lost_gpu_end_and_a_counter_says_so_once(nvml: FakeNvml, function: str) -> None:
    exporter = GpuExporter(NvmlSource(nvml))
    assert of(scrape(exporter), "tiercli_gpu_power_watts", gpu="1") == 312.5
    nvml.errors = {(function, 1): pynvml.NVML_ERROR_GPU_IS_LOST}
    for _ in range(2):
        found = scrape(exporter)
        assert not [labels for name, labels in found if ("gpu", "1") in labels and name != "tiercli_gpu_lost_total"]
        assert of(found, "tiercli_gpu_power_watts", gpu="0") == 312.5
        assert of(found, "tiercli_gpu_lost_total", gpu="1") == 1
    nvml.errors = {}
    assert of(scrape(exporter), "tiercli_gpu_power_watts", gpu="1") == 312.5
    nvml.errors = {(function, 1): pynvml.NVML_ERROR_GPU_IS_LOST}
    assert of(scrape(exporter), "tiercli_gpu_lost_total", gpu="1") == 2


def test_a_driver_that_goes_away_ends_everything_but_the_exporter(nvml: FakeNvml) -> None:
    exporter = GpuExporter(NvmlSource(nvml))
    nvml.errors = {"nvmlDeviceGetCount": pynvml.NVML_ERROR_UNINITIALIZED}
    found = scrape(exporter)
    assert of(found, "tiercli_gpu_devices") == 0
    assert of(found, "tiercli_gpu_read_errors_total", reading="devices", error="Uninitialized") == 1


def test_an_older_driver_is_asked_in_its_own_way(nvml: FakeNvml) -> None:
    nvml.errors = {
        "nvmlDeviceGetMemoryInfo_v2": pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        "nvmlDeviceGetTemperatureV": pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    }
    found = scrape(GpuExporter(NvmlSource(nvml)))
    assert of(found, "tiercli_gpu_memory_used_bytes", gpu="0") == 3e10
    assert of(found, "tiercli_gpu_temperature_celsius", gpu="0") == 60


def test_each_mig_device_has_its_memory(nvml: FakeNvml) -> None:
    nvml.mig = True
    nvml.errors = {"nvmlDeviceGetUtilizationRates": pynvml.NVML_ERROR_NOT_SUPPORTED}
    found = scrape(GpuExporter(NvmlSource(nvml)))
    devices = sorted(dict(labels)["mig_uuid"] for name, labels in found if name == "tiercli_gpu_mig_memory_used_bytes")
    assert devices == ["GPU-0/0", "GPU-0/2", "GPU-1/0", "GPU-1/2"]
    assert of(found, "tiercli_gpu_mig_memory_total_bytes", gpu="0", mig_uuid="GPU-0/2", gi="2", ci="0") == 8e10
    assert of(found, "tiercli_gpu_power_watts", gpu="0") == 312.5


def test_without_a_driver_it_says_so() -> None:
    nvml = FakeNvml()
    nvml.errors = {"nvmlInit": pynvml.NVML_ERROR_DRIVER_NOT_LOADED}
    with pytest.raises(BackendError, match="no NVIDIA driver") as caught:
        NvmlSource(nvml)
    assert "nvidia-smi" in caught.value.hint


def test_the_command_tells_of_the_gpus_here_or_exits_with_3(run_tiercli: Run) -> None:
    done = run_tiercli("exporter", "gpu", "--once")
    if Path("/proc/driver/nvidia").exists():
        assert done.returncode == 0
        assert "tiercli_gpu_devices" in done.stdout
        return
    assert done.returncode == 3
    assert "no NVIDIA driver" in done.stderr
    assert "--simulate" in done.stderr


def test_the_binding_counts_what_the_exporter_exposes(nvml: FakeNvml) -> None:
    # Processes and MIG devices come and go: a plan does not count them.
    found = scrape(GpuExporter(NvmlSource(nvml)))
    binding = known_binding("tiercli-gpu")
    per_gpu = {
        name: sum(1 for other, labels in found if other == name and ("gpu", "0") in labels)
        for name, _ in found
        if name != "tiercli_gpu_devices"
    }
    numbers = {label: value for label, value in binding.label_values.items() if isinstance(value, int)}
    counted = {}
    for name, metric, _ in binding.counted():
        if "gpu" in metric.labels:
            counted[name] = 1
            for label in metric.labels:
                counted[name] *= numbers.get(label, 1)
    assert per_gpu == counted
    assert {
        metric.name for metric in METRICS if not metric.name.startswith(("tiercli_gpu_mig", "tiercli_gpu_proc"))
    } == set(counted)


def frames(*lines: object) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_readings_of_a_file_are_played_and_begin_again(tmp_path: Path) -> None:
    path = tmp_path / "readings.jsonl"
    path.write_text(
        frames(
            {"at_s": 0, "gpus": [{"utilization_ratio": 0.2}, {"gpu": "7", "uuid": "GPU-x", "utilization_ratio": 0.3}]},
            {"at_s": 10, "gpus": [{"utilization_ratio": 0.95}]},
        )
    )
    times = iter((0.0, 0.0, 9.9, 10.0, 19.9, 20.0))
    source = ReplayedGpus(path, clock=lambda: next(times))
    said = [[(sample.gpu[0], sample.value) for sample in source.read().samples] for _ in range(5)]
    both, one = [("0", 0.2), ("7", 0.3)], [("0", 0.95)]
    assert said == [both, both, one, one, both]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it has no readings"),
        ("no json\n", "not a reading"),
        (frames({"at_s": 0}), "not a reading"),
        (frames({"at_s": 3, "gpus": []}), "at_s is 3"),
        (frames({"at_s": 0, "gpus": []}, {"at_s": 0, "gpus": []}), "not after 0"),
        (frames({"at_s": 0, "gpus": [{"load": 1}]}), "unknown reading 'load'"),
        (frames({"at_s": 0, "gpus": [{"power_watts": "much"}]}), "power_watts is 'much'"),
        (frames({"at_s": 0, "gpus": {}}), "not a list"),
        ("[" * 100_000 + "\n", "not a reading"),
    ],
)
def test_a_file_of_readings_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "readings.jsonl"
    path.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        ReplayedGpus(path)
    assert any(said in problem.found for problem in caught.value.problems)


def test_it_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    path = tmp_path / "readings.jsonl"
    path.write_text(frames({"at_s": 0, "gpus": [{"utilization_ratio": 0.5}]}))
    command = [sys.executable, "-m", "tiercli", "exporter", "gpu", "--simulate", str(path), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("1 GPU; metrics are at ")
        answer = httpx.get(said.split()[-1], trust_env=False)
        assert of(series(answer.text), "tiercli_gpu_utilization_ratio", gpu="0") == 0.5
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0

"""What each GPU exporter exposes, as a real Prometheus records it: always the same card, in base units."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scraping import EXPOSITIONS, Found, exposing, near, recorded

from tiercli.catalog.loading import LoadedCatalog
from tiercli.sandbox.stack.binaries import StackBinaries

Changed = Callable[[Callable[[dict[str, Any]], object]], LoadedCatalog]


@pytest.mark.parametrize(
    ("exposition", "binding", "gpu"),
    [
        ("dcgm", "dcgm", "0"),
        ("dcgm-new-names", "dcgm", "0"),
        ("dcgm-4.9", "dcgm", "0"),
        ("dcgm-4.9-mig", "dcgm", "0"),
        ("dcgm-mig", "dcgm", "0"),
        ("nvidia-gpu-exporter", "nvidia-gpu-exporter", "GPU-a"),
        ("nvidia-gpu-exporter-mig", "nvidia-gpu-exporter", "GPU-a"),
        ("amd-device-metrics", "amd-device-metrics", "0"),
        ("amd-device-metrics-prefixed", "amd-device-metrics", "0"),
        ("tiercli-gpu", "tiercli-gpu", "0"),
    ],
)
@pytest.mark.stack
def test_a_card_is_recorded(
    changed_hybrid: Changed, stack: StackBinaries, tmp_path: Path, exposition: str, binding: str, gpu: str
) -> None:
    with exposing((EXPOSITIONS / f"{exposition}.txt").read_text()) as address:
        card = (address, gpu)
        expected: Found = {
            "tier:gpu:utilization:ratio": {card: 0.4},
            "tier:gpu:memory_used:bytes": {card: 20 * 2**30},
            "tier:gpu:memory_total:bytes": {card: 80 * 2**30},
            "tier:gpu:power:watts": {card: 300},
            "tier:gpu:temperature:celsius": {card: 61},
        }
        source = {"gpus": {"binding": binding, "targets": [address]}}
        loaded = changed_hybrid(lambda data: data.update(sources=source))
        found = recorded(loaded, stack.prometheus.path, tmp_path, expected, ("instance", "gpu"))
    assert near(found, expected), found

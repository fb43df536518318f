"""The verification record: with which parts, on which machine, under which limits a result was had."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tiercli import __version__
from tiercli.drills.sites.estate import Estate

_LIBRARIES = ("locust", "aiohttp", "prometheus-client", "grafanalib", "promql-parser")
_LAST = ("data path", "real, not simulated")


def verification_facts(estate: Estate, of_site: Mapping[str, str], limits: Sequence[str], data: Path) -> dict[str, str]:
    """Facts by name, in the order in which a reader wants them. `of_site` and `limits`: what the place says of itself; `data`: the
    run's folder."""
    timing = estate.timing
    bounds = timing.bounds(estate.windows())
    return {
        "tiercli": __version__,
        **{name: said for name, said in of_site.items() if name not in _LAST},
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: _installed(name) for name in _LIBRARIES},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": f"{len(os.sched_getaffinity(0)) if sys.platform == 'linux' else os.cpu_count()}",
        "memory": _memory(),
        "gpu": _gpu(),
        "catalog": estate.loaded.document.name,
        "data path": f"{of_site['data path']}; data in {data.name}",
        "compression": f"×{timing.factor:g}: 1 s here is {timing.factor:g} s of estate time",
        "scrape and evaluation": f"every {timing.scrape_s:.3g} s and {timing.evaluation_s:.3g} s",
        "real, not simulated": of_site["real, not simulated"],
        "limits": "; ".join(
            (
                *bounds,
                *(("latencies are real seconds and not compressed",) if timing.factor != 1 else ()),
                *limits,
            )
        ),
    }


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _memory() -> str:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return "unknown"
    kilobytes = int(next(line.split()[1] for line in text.splitlines() if line.startswith("MemTotal")))
    return f"{kilobytes / 1024 / 1024:.1f} GiB"


def _gpu() -> str:
    try:
        import pynvml

        pynvml.nvmlInit()
        names = [
            pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(i)) for i in range(pynvml.nvmlDeviceGetCount())
        ]
        pynvml.nvmlShutdown()
    except Exception:  # noqa: BLE001 - no driver, no library, no permission: there is no GPU to speak of
        return "none used"
    return ", ".join(str(name) for name in names) or "none"

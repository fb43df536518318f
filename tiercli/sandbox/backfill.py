"""Putting a past into a Prometheus that is not running yet."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tiercli.errors import BackendError


async def backfill(promtool: Path, history: Path, data: Path) -> None:
    """Make blocks of the OpenMetrics file `history` in Prometheus' folder `data`. Raises BackendError with promtool's
    last words."""
    done = await asyncio.create_subprocess_exec(
        # One block for all of it: promtool reads the text again for each.
        *(promtool, "tsdb", "create-blocks-from", "--max-block-duration=744h", "openmetrics", history, data),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await done.communicate()
    except asyncio.CancelledError:
        done.kill()
        await done.wait()
        raise
    if done.returncode:
        raise BackendError(f"promtool could not backfill the history: {output.decode(errors='replace').strip()[-400:]}")

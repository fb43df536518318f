"""What a command leaves behind that is not done in time: nothing that could turn the fault on after it was undone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.environment.live_processes import processes_with
from tests.faults.environment.stands import injectors_of, write_catalog
from tiercli.errors import BackendError


@pytest.mark.parametrize(
    "script",
    [
        "set -m; (touch began; sleep 60; touch {}/on) & wait",
        "setsid sh -c 'touch began; sleep 60; touch {}/on' & wait",
        "touch began; (setsid sh -c 'setsid sleep 60; touch {}/on' &) ; sleep 60",
    ],
    ids=["a process group of its own", "a session of its own", "a session of one that has no parent"],
)
def test_a_command_that_is_not_done_in_time_leaves_no_process(tmp_path: Path, script: str) -> None:
    on = ["bash", "-c", script.format(tmp_path)]
    command = {"fault": "gateway-down", "on": on, "off": ["rm", "-f", "on"], "within": "1s"}
    catalog = write_catalog(tmp_path, {"commands": [command]})

    async def scenario() -> None:
        async with injectors_of(catalog) as live:
            await live.apply("gateway-down", {}, {})

    with pytest.raises(BackendError, match="not done within 1 s"):
        asyncio.run(scenario())
    assert (tmp_path / "began").exists()
    assert processes_with(f"touch {tmp_path}/on") == []

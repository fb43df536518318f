"""Locust as a process of its own (gevent stays out of ours), and the lines that it writes while it runs."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tiercli.drills.load.plan import LoadPlan, write_load_plan
from tiercli.drills.record.events import LoadWindow
from tiercli.resources import resource_folder
from tiercli.serving import LOOPBACK
from tiercli.sidecar.supervisor import ProcessSpec

LOCUST = "locust"
WORKER = f"{LOCUST}-worker"
KEYS = "TIERCLI_LOAD_KEYS"  # the environment variable with the header values that let calls in: no file holds them
AUTHORITIES = "TIERCLI_LOAD_CA"  # and a file of certificates, where it is not the plan's
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, and not listened at
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Workers:
    """Who shares the load: workers of this machine, and those that come from `elsewhere` to host:port. Port 0: any."""

    here: int = 0
    elsewhere: int = 0
    host: str = LOOPBACK
    port: int = 0

    @property
    def count(self) -> int:
        """All of them; 0: one Locust does it alone."""
        return self.here + self.elsewhere


ALONE = Workers()


def locust_process(
    plan: LoadPlan, plan_file: Path, log: Path, locustfile: str | None = None, name: str = LOCUST
) -> ProcessSpec:
    """Write the plan and say how Locust is started on it. An operator's own locustfile takes the place of ours."""
    write_load_plan(plan, plan_file)
    file = Path(locustfile) if locustfile else resource_folder("drills") / "locustfile.py"
    argv = [
        *(sys.executable, "-m", "locust", "-f", str(file)),
        *("--headless", "--host", plan.base_url, "--only-summary", "--loglevel", "WARNING"),
    ]
    if locustfile is not None:  # ours has a LoadTestShape, which --users would contradict
        argv += ["--users", str(plan.users), "--spawn-rate", str(plan.users * 10)]
    env = {"TIERCLI_LOAD_PLAN": str(plan_file)}
    if plan.keys:
        env[KEYS] = json.dumps(dict(plan.keys))
    return ProcessSpec(name, tuple(argv), log, env)


def locust_with_workers(master: ProcessSpec, workers: Workers, port: int, log: Path) -> list[ProcessSpec]:
    """The same load by a master and its workers: the master, then the workers of this machine."""
    port = workers.port or port
    place = ("--master-bind-host", workers.host, "--master-bind-port", str(port))
    leading = ("--master", "--expect-workers", str(workers.count), *place)
    # What only the master needs: the number of users, the address.
    file = master.argv[: master.argv.index("--headless")]
    return [
        dataclasses.replace(master, argv=(*master.argv, *leading)),
        *(
            ProcessSpec(
                f"{WORKER}-{number}",
                (*file, *_following(LOOPBACK if workers.host in _ANYWHERE else workers.host, port)),
                log.with_name(f"{log.stem}-{number}.log"),
                master.env,
            )
            for number in range(1, workers.here + 1)
        ),
    ]


def worker_command(host: str, port: int, locustfile: str | None = None) -> list[str]:
    """The command line of a worker whose master is on another machine. It waits for its master, and ends with it."""
    file = locustfile or str(resource_folder("drills") / "locustfile.py")
    return [sys.executable, "-m", "locust", "-f", file, *_following(host, port), "--exit-code-on-error", "0"]


def _following(host: str, port: int) -> tuple[str, ...]:
    return ("--worker", "--master-host", host, "--master-port", str(port))


async def tail_windows(path: Path) -> AsyncIterator[LoadWindow]:
    """What Locust wrote, as it is written, until cancelled; a line that is not whole yet is waited for."""
    position, rest = 0, ""
    while True:
        text = _read_from(path, position)
        position += len(text)
        *lines, rest = (rest + text.decode()).split("\n")
        for line in lines:
            yield LoadWindow(**json.loads(line))
        await asyncio.sleep(_POLL_S)


def _read_from(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as stream:
            stream.seek(position)
            return stream.read()
    except FileNotFoundError:
        return b""

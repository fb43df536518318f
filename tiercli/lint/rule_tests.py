"""Running the generated unit tests: promtool over each alarm's cases, amtool over the route of each alarm's alerts."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from tiercli.catalog.model import Catalog
from tiercli.conventions import ENV_LABEL, ESTATE_LABEL, HEARTBEAT, OWNER_LABEL, SEVERITY_LABEL, SOURCE_LABEL
from tiercli.errors import BackendError
from tiercli.output.tree import ALERTMANAGER_FILE, TESTS_FOLDER
from tiercli.rules.alarm import Alarm
from tiercli.rules.policies import Policies
from tiercli.signals.timing import Timing

# A test over a month of evaluations takes seconds; one that takes this long hangs.
TIMEOUT_S = 300
# Many short runs: collecting garbage less often takes a quarter off, for 50 MB more each.
_GO = {"GOGC": "400"}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class AlarmResult:
    """What became of one alarm's tests. `cases`: how many there are; `failures`: what the tools said, empty when all
    passed; `receivers`: who hears of it, by the route that Alertmanager itself chose."""

    alarm: str
    cases: int
    failures: tuple[str, ...]
    receivers: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every case holds."""
        return not self.failures


def run_rule_tests(
    tree: Mapping[str, str],
    catalog: Catalog,
    alarms: Sequence[Alarm],
    timing: Timing,
    *,
    promtool: Path,
    amtool: Path,
    jobs: int | None = None,
    on_done: Callable[[AlarmResult], None] = lambda result: None,
) -> list[AlarmResult]:
    """Run the tests of `alarms` out of a generated tree, `jobs` at once (as many as there are cores, when not given), in
    a folder that is gone afterwards. `on_done` hears of each as it ends; results come in the order of the alarms.

    Raises BackendError when a tool cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="tiercli-rules-") as name:
        folder = Path(name)
        for path, text in tree.items():
            if path.startswith(f"{TESTS_FOLDER}/") or path == ALERTMANAGER_FILE:
                (folder / PurePosixPath(path).name).write_text(text, encoding="utf-8")
        results: dict[str, AlarmResult] = {}
        with ThreadPoolExecutor(max_workers=jobs or os.cpu_count() or 1) as pool:
            waiting = [pool.submit(_test_alarm, folder, catalog, alarm, timing, promtool, amtool) for alarm in alarms]
            for done in as_completed(waiting):
                result = done.result()
                results[result.alarm] = result
                on_done(result)
    return [results[alarm.alarm] for alarm in alarms]


def _test_alarm(
    folder: Path, catalog: Catalog, alarm: Alarm, timing: Timing, promtool: Path, amtool: Path
) -> AlarmResult:
    cases, failures = 0, []
    for path in (folder / f"{alarm.alarm}_test.yml", folder / f"{alarm.alarm}_counters_test.yml"):
        if path.exists():
            cases += len(yaml.load(path.read_text(encoding="utf-8"), _LOADER)["tests"])  # noqa: S506 - a safe one
            code, said = _run(promtool, "test", "rules", str(path))
            failures += [said.strip()] if code else []
    receivers = []
    for labels, wanted in routed(catalog, alarm, timing):
        matched = [f"{name}={value}" for name, value in labels.items()]
        config = str(folder / PurePosixPath(ALERTMANAGER_FILE).name)
        code, said = _run(amtool, "config", "routes", "test", f"--config.file={config}", *matched)
        cases += 1
        receivers.append(said.strip())
        if code or said.strip() != wanted:
            failures.append(f"an alert with {', '.join(matched)} goes to {said.strip()}, not to {wanted}")
    return AlarmResult(alarm.alarm, cases, tuple(failures), tuple(dict.fromkeys(receivers)))


def routed(catalog: Catalog, alarm: Alarm, timing: Timing) -> Iterator[tuple[dict[str, str], str]]:
    """The labels of an alarm's alerts, for each severity and owner that they can have, and who has to hear of them."""
    for severity, owner in Policies(catalog, alarm, timing).destinations():
        labels = {
            "alertname": alarm.alarm,
            ESTATE_LABEL: catalog.estate,
            ENV_LABEL: catalog.env,
            SEVERITY_LABEL: severity,
            OWNER_LABEL: owner,
            SOURCE_LABEL: alarm.source,
        }
        default = getattr(catalog.routing, severity)
        yield labels, default if severity == HEARTBEAT else getattr(catalog.owners[owner], severity) or default


def _run(program: Path, *arguments: str) -> tuple[int, str]:
    try:
        done = subprocess.run(
            [program, *arguments],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env=_GO | os.environ,
        )
    except OSError as error:
        raise BackendError(f"cannot run {program}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"{program} {' '.join(arguments)} took more than {TIMEOUT_S} s") from error
    return done.returncode, done.stdout + done.stderr if done.returncode else done.stdout

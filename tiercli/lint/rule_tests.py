"""Running the generated unit tests: promtool over each alarm's cases, amtool over the route of each alarm's alerts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from tiercli.catalog.model import Catalog
from tiercli.conventions import ENV_LABEL, ESTATE_LABEL, OWNER_LABEL, SEVERITY_LABEL, SOURCE_LABEL
from tiercli.lint.tools import run_tool
from tiercli.output.tree import ALERTMANAGER_FILE, TESTS_FOLDER
from tiercli.rules.alarm import Alarm
from tiercli.rules.policies import Policies
from tiercli.rules.receivers import receiver_of
from tiercli.signals.timing import Timing

# Many short runs: less frequent garbage collection saves a quarter of the time, for 50 MB more each.
_GO = {"GOGC": "400"}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class AlarmResult:
    """The result of one alarm's tests. `cases`: their number; `failures`: what the tools reported, empty when all passed;
    `receivers`: the receivers that Alertmanager's own routing chose."""

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
    """Run the tests of `alarms` out of a generated tree in a temporary folder, `jobs` at a time (default: one per core).
    `on_done` receives each result as it arrives; the returned results are in the order of the alarms.

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
            cases += len(yaml.load(path.read_text(encoding="utf-8"), _LOADER)["tests"])  # noqa: S506 - a safe loader
            code, output = run_tool(promtool, "test", "rules", str(path), env=_GO)
            failures += [output.strip()] if code else []
    receivers = []
    for labels, wanted in routed(catalog, alarm, timing):
        matched = [f"{name}={value}" for name, value in labels.items()]
        config = str(folder / PurePosixPath(ALERTMANAGER_FILE).name)
        code, output = run_tool(amtool, "config", "routes", "test", f"--config.file={config}", *matched, env=_GO)
        cases += 1
        receiver = output.strip()
        receivers.append(receiver)
        if code or receiver != wanted:
            failures.append(f"an alert with {', '.join(matched)} goes to {receiver}, not to {wanted}")
    return AlarmResult(alarm.alarm, cases, tuple(failures), tuple(dict.fromkeys(receivers)))


def routed(catalog: Catalog, alarm: Alarm, timing: Timing) -> Iterator[tuple[dict[str, str], str]]:
    """The labels of an alarm's alerts, for each severity and owner that they can have, and the receiver that must get them."""
    for severity, owner in Policies(catalog, alarm, timing).destinations():
        labels = {
            "alertname": alarm.alarm,
            ESTATE_LABEL: catalog.estate,
            ENV_LABEL: catalog.env,
            SEVERITY_LABEL: severity,
            OWNER_LABEL: owner,
            SOURCE_LABEL: alarm.source,
        }
        yield labels, receiver_of(catalog, severity, owner)

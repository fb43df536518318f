"""What a person sees while a drill runs: a live picture on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tiercli.conventions import WATCHDOG
from tiercli.drills.record.events import (
    IDENTITY_LABELS,
    Aborted,
    AlertSeen,
    BackendLost,
    DeliverySeen,
    Event,
    FaultApplied,
    FaultCleared,
    Interrupted,
    LoadWindow,
    Notified,
    PhaseStarted,
    RunStarted,
    WorkerLost,
)
from tiercli.drills.record.result import Outcome, Result
from tiercli.drills.spec.model import DrillSpec

_MARK = {Outcome.PASSED: "[green]✓[/]", Outcome.FAILED: "[red]✗[/]", Outcome.INCONCLUSIVE: "[yellow]?[/]"}
_COLOR = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.INCONCLUSIVE: "yellow"}
_LOAD_LINE_EVERY_S = 10.0


def event_line(event: Event, zero: float | None) -> str | None:
    """One line for a noteworthy event, in rich markup; None for one that is not."""
    message = None
    if zero is None and isinstance(event, AlertSeen | DeliverySeen):
        return None  # warm-up, which is not judged
    if isinstance(event, PhaseStarted):
        message = f"[bold]phase {event.phase}[/], {event.planned_s:.0f} s at most"
    elif isinstance(event, FaultApplied):
        message = f"[red]fault on[/]: {escape(event.fault)} {escape(_braces(event.target))}"
    elif isinstance(event, FaultCleared):
        message = f"[green]fault off[/]: {escape(event.fault)} {escape(_braces(event.target))}"
    elif isinstance(event, AlertSeen) and event.alert != WATCHDOG:
        color = {"pending": "yellow", "firing": "red", "inactive": "green"}[event.state]
        message = f"prometheus: {event.alert} {escape(_identity(event.labels))} is [{color}]{event.state}[/]"
    elif isinstance(event, DeliverySeen) and event.alert != WATCHDOG and event.state == "suppressed":
        by = f" by {', '.join(event.inhibited_by)}" if event.inhibited_by else ""
        by += f" by silence {', '.join(event.silenced_by)}" if event.silenced_by else ""
        message = f"alertmanager: {event.alert} {escape(_identity(event.labels))} is [magenta]suppressed[/]{by}"
    elif isinstance(event, Notified) and event.alert != WATCHDOG:
        color = "red" if event.status == "firing" else "green"
        message = f"receiver [bold]{escape(event.receiver)}[/]: {event.alert} {escape(_identity(event.labels))} [{color}]{event.status}[/]"
    elif isinstance(event, WorkerLost):
        message = f"[yellow]a worker of the load is gone: {event.left} of {event.of} are left[/]"
    elif isinstance(event, Aborted | BackendLost):
        message = f"[yellow]{escape(event.reason)}[/]"
    elif isinstance(event, Interrupted):
        message = f"[yellow]stopping: {event.signal}[/]"
    if message is None:
        return None
    return f"{event.at - zero:+7.1f} s  {message}" if zero is not None else message


class PlainView:
    """A line for each noteworthy event, and one for the load every ten seconds."""

    def __init__(self, console: Console, prefix: str = "") -> None:
        """`prefix` stands before every line: whose it is, where several runs share the console."""
        self._console = console
        self._prefix = escape(prefix)
        self._zero: float | None = None
        self._load_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def say(self, text: str) -> None:
        """Progress outside the run itself."""
        self._print(f"[dim]{escape(text)}[/]")

    def show(self, event: Event) -> None:
        """An event happened."""
        if isinstance(event, PhaseStarted) and self._zero is None:
            self._zero = event.at
        if isinstance(event, RunStarted) and event.factor != 1:
            self._print(f"time is compressed ×{event.factor:g}: 1 s here is {event.factor:g} s of simulated time")
        line = event_line(event, self._zero)
        if line is not None:
            self._print(line)
        elif isinstance(event, LoadWindow) and event.at - self._load_at >= _LOAD_LINE_EVERY_S:
            self._load_at = event.at
            self._print(f"[dim]{_load(event)}[/]")

    def _print(self, text: str) -> None:
        self._console.print(f"{self._prefix}{text}")


class TerminalView:
    """A picture that stays in place: phases, load, expectations, what was last seen."""

    _LINES = 12

    def __init__(self, console: Console, spec: DrillSpec) -> None:
        self._spec = spec
        self._status = ""
        self._zero: float | None = None
        self._phase: PhaseStarted | None = None
        self._phases: list[str] = []
        self._run: RunStarted | None = None
        self._load: LoadWindow | None = None
        self._fault_at: float | None = None
        self._states: dict[tuple[str, str], str] = {}
        self._lines: list[str] = []
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=5, transient=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status = ""
        self._live.__exit__(kind, error, trace)

    def say(self, text: str) -> None:
        """Progress outside the run itself."""
        self._status = text

    def show(self, event: Event) -> None:
        """An event happened."""
        if isinstance(event, PhaseStarted):
            self._zero = event.at if self._zero is None else self._zero
            self._phase = event
            self._status = ""
        elif isinstance(event, RunStarted):
            self._run = event
        elif isinstance(event, LoadWindow):
            self._load = event
        elif isinstance(event, FaultApplied):
            self._fault_at = event.at
        self._note(event)
        line = event_line(event, self._zero)
        if line is not None and not isinstance(event, PhaseStarted):
            self._lines = [*self._lines, line][-self._LINES :]

    def _note(self, event: Event) -> None:
        since = f"{event.at - self._fault_at:.1f} s after the fault" if self._fault_at else ""
        for number, expected in enumerate(self._spec.expect):
            if not isinstance(event, AlertSeen | Notified) or event.alert != expected.alert:
                continue
            if any(event.labels.get(key) != value for key, value in expected.labels.items()):
                continue
            if isinstance(event, AlertSeen) and event.state != "inactive":
                self._states.setdefault((str(number), event.state), since)
            elif isinstance(event, Notified) and event.receiver == expected.receiver:
                self._states.setdefault((str(number), event.status + " notified"), since)

    def _render(self) -> RenderableType:
        parts: list[RenderableType] = [Text.from_markup(f"[bold]drill {self._spec.name}[/]  {self._compression()}")]
        if self._phase is not None:
            parts.append(self._phase_row(self._phase))
        if self._load is not None:
            parts.append(Text(_load(self._load), style="dim"))
        if self._spec.expect:
            parts += [Text(), self._expectations()]
        if self._lines:
            parts += [Text(), *(Text.from_markup(line, overflow="ellipsis") for line in self._lines)]
        if self._status:
            parts.append(Text(f"… {self._status}", style="cyan"))
        return Group(*parts)

    def _compression(self) -> str:
        if self._run is None or self._run.factor == 1:
            return ""
        return f"[dim]time ×{self._run.factor:g}: 1 s here is {self._run.factor:g} s of simulated time[/]"

    def _phase_row(self, phase: PhaseStarted) -> RenderableType:
        done = min(max(0.0, time.time() - phase.at), phase.planned_s)
        row = Table.grid(padding=(0, 1))
        row.add_row(
            Text(phase.phase, style="bold"),
            ProgressBar(total=max(phase.planned_s, 0.001), completed=done, width=30),
            f"{done:4.0f} of {phase.planned_s:.0f} s at most",
        )
        return row

    def _expectations(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for column in ("expected", "pending", "firing", "notified", "resolved"):
            table.add_column(column, overflow="fold")
        for number, expected in enumerate(self._spec.expect):
            states = [
                self._states.get((str(number), state))
                for state in ("pending", "firing", "firing notified", "resolved notified")
            ]
            cells = [
                f"[green]✓[/] {message}".replace(" after the fault", "") if message is not None else "[dim]–[/]"
                for message in states
            ]
            name = f"{expected.alert}\n[dim]{escape('/'.join(expected.labels.values()))} → {escape(str(expected.receiver))}[/]"
            table.add_row(name, *cells)
        return table


def summary_lines(result: Result) -> list[str]:
    """The verdict for a terminal, in rich markup."""
    color = _COLOR[result.outcome]
    lines = [f"[bold {color}]{result.outcome.value}[/]  drill {escape(result.drill)}"]
    lines += [f"  {escape(reason)}" for reason in result.reasons]
    for expectation in result.expectations:
        lines.append(f"{_MARK[expectation.outcome]} {expectation.alert} {escape(_braces(expectation.labels))}")
        lines += [f"    {_MARK[step.outcome]} {escape(step.message)}" for step in expectation.steps]
        if sentence := expectation.detection.sentence:
            lines.append(f"    {escape(sentence)}")
    lines += [f"{_MARK[step.outcome]} {escape(step.message)}" for step in result.evidence]
    lines += [f"[red]✗[/] unexpected {other.alert}: {escape(other.message)}" for other in result.unexpected]
    lines += [
        f"[dim]· {other.alert} {escape(_identity(other.labels))}: {escape(other.message)}[/]" for other in result.seen
    ]
    if result.load is not None:
        lines.append(f"[dim]· {escape(result.load.message)}[/]")
    return lines


def _load(window: LoadWindow) -> str:
    rate = window.started / window.seconds if window.seconds else 0
    p95 = f", p95 {window.p95_s:.2f} s" if window.p95_s is not None else ""
    first = f", first token {window.ttft_p95_s:.2f} s" if window.ttft_p95_s is not None else ""
    return f"load {rate:.0f} requests/s, {window.failed} failed, {window.in_flight} under way{p95}{first}"


def _identity(labels: dict[str, str]) -> str:
    return "/".join(labels[key] for key in IDENTITY_LABELS if key in labels)


def _braces(labels: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key}={value}" for key, value in labels.items()) + "}"

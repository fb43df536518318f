"""The errors of tiercli and the exit code that each one ends with.

    TiercliError                     message, hint
    ├── InvalidInput            2    the operator's files or flags are wrong; carries every problem found
    ├── CheckFailed             1    what was asked to be checked does not hold
    ├── BackendError            3    the environment failed: nothing was proven either way
    │   ├── BackendUnreachable       no answer, or not the answer of what we expected there
    │   ├── QueryRejected            Prometheus or Alertmanager answered with an error
    │   └── ToolMissing              a program that tiercli needs is not installed
    └── FaultNotReverted        4    a fault could not be undone; says how to undo it by hand

Anything else that escapes is a bug: exit code 70. Ctrl-C is 130. Findings and verdicts are values, not exceptions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What each exit code of tiercli means."""

    OK = 0
    CHECK_FAILED = 1
    INVALID_INPUT = 2
    ENVIRONMENT_FAILED = 3
    FAULT_NOT_REVERTED = 4
    BUG = 70
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file an operator wrote; line and column count from 1, 0 when unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join([self.file, *(str(part) for part in (self.line, self.column) if part)])


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input: where, what was found, what is accepted, and perhaps what was meant."""

    location: Location
    found: str
    accepted: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        text = f"{self.location}: {self.found}"
        if self.suggestion:
            text += f"; did you mean {self.suggestion!r}?"
        if self.accepted:
            text += f" (accepted: {self.accepted})"
        # Names out of a file can hold what a terminal obeys.
        return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class TiercliError(Exception):
    """An expected failure: reported to the operator in one line, with what to do next, never with a traceback."""

    exit_code = ExitCode.BUG

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidInput(TiercliError):
    """Bad input. `problems` holds everything found wrong, in the order of the file."""

    exit_code = ExitCode.INVALID_INPUT

    def __init__(self, message: str, problems: Iterable[Problem] = (), *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(sorted(problems, key=lambda problem: problem.location))


class CheckFailed(TiercliError):
    """A check that the operator asked for does not hold; `details` are lines to print as they are (a diff, say)."""

    exit_code = ExitCode.CHECK_FAILED

    def __init__(self, message: str, *, details: Iterable[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.details = tuple(details)


class BackendError(TiercliError):
    """The environment failed, so nothing was proven either way."""

    exit_code = ExitCode.ENVIRONMENT_FAILED


class BackendUnreachable(BackendError):
    """Something that should answer does not."""


class QueryRejected(BackendError):
    """A server answered, and its answer was an error."""


class ToolMissing(BackendError):
    """A program that tiercli runs is not installed."""


class FaultNotReverted(TiercliError):
    """A fault may still be on. The hint says how to undo it by hand."""

    exit_code = ExitCode.FAULT_NOT_REVERTED

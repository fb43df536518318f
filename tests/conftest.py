"""What tests share: the example catalog, changed copies of it, and the real promtool and amtool."""

from __future__ import annotations

import functools
import gc
import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import hypothesis
import pytest
import yaml

from tiercli.catalog.loading import LoadedCatalog, load_catalog, parse_catalog
from tiercli.cli import main
from tiercli.sandbox.stack.binaries import StackBinaries, find_stack

# No test asserts how long something takes: the machine may be busy.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")

ROOT = Path(__file__).resolve().parent.parent
HYBRID = ROOT / "catalogs" / "hybrid.yaml"

# The tools are run hundreds of times, and shortly: collecting garbage less often takes a quarter to a half off.
os.environ.setdefault("GOGC", "800")
gc.set_threshold(50_000, 20, 20)
# Tests read whole generated trees: libyaml does it in an eighth of the time that PyYAML's Python takes, to the same result.
yaml.safe_load = functools.partial(yaml.load, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))

# No colour, and lines of one length wherever the tests are run.
_PLAIN = {"NO_COLOR": "1", "COLUMNS": "160"}

ChangeCatalog = Callable[[dict[str, Any]], object]


class Tool(Protocol):
    """A program, run to its end: exit code, and everything that it printed."""

    def __call__(self, *arguments: str | Path) -> tuple[int, str]: ...


@pytest.fixture(scope="session")
def hybrid() -> LoadedCatalog:
    """The catalog that comes with tiercli."""
    return load_catalog(HYBRID)


@pytest.fixture(scope="session")
def changed_hybrid() -> Callable[[ChangeCatalog], LoadedCatalog]:
    """A copy of hybrid.yaml after a function has changed its content."""

    def build(change: ChangeCatalog) -> LoadedCatalog:
        data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
        change(data)
        return parse_catalog(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), "changed.yaml")

    return build


@pytest.fixture(scope="session")
def stack() -> StackBinaries:
    """prometheus, promtool, alertmanager and amtool as installed here; without them the tests fail."""
    return find_stack()


@pytest.fixture(scope="session")
def promtool(stack: StackBinaries) -> Tool:
    """promtool, to be called with its arguments."""
    return _tool(stack.promtool.path)


@pytest.fixture(scope="session")
def amtool(stack: StackBinaries) -> Tool:
    """amtool, to be called with its arguments."""
    return _tool(stack.amtool.path)


class Done(NamedTuple):
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


def tiercli_here(*arguments: str) -> Done:
    """What `run_tiercli` calls."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["tiercli", *arguments])
        for variable, value in _PLAIN.items():
            patch.setenv(variable, value)
        try:
            main.run()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def run_tiercli() -> Callable[..., Done]:
    """tiercli, to be called with its arguments, as its process would run it, in this one: hundreds of processes would do little
    but import. tests/transcripts starts each command as a process; so does `start_tiercli`."""

    return tiercli_here


@pytest.fixture(scope="session")
def start_tiercli() -> Callable[..., Done]:
    """tiercli as a process of its own, to be called with its arguments."""

    def start(*arguments: str) -> Done:
        command = [sys.executable, "-m", "tiercli", *arguments]
        environment = {**os.environ, **_PLAIN}
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
        return Done(done.returncode, done.stdout, done.stderr)

    return start


def _tool(path: Path) -> Tool:
    def run(*arguments: str | Path) -> tuple[int, str]:
        command = [path, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout + done.stderr

    return run

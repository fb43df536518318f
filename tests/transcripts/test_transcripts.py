"""Command lines as data. Each folder beside this file is one run of tiercli as a process of its own:

    command     the arguments, as a shell would read them; {checkout} is this checkout
    files/      what lies in the folder where it runs (optional)
    stdin       what it reads (optional)
    stdout, stderr, exit    what must come of it; versions and the checkout's path are masked; a line that is only …
                            stands for any lines, so that a new metric or alarm changes no transcript that is not about it

`TIERCLI_GOLDEN=update pytest tests/transcripts` writes anew those of the last three that do not hold; look at the diff.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tiercli import __version__

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
RUNS = sorted(path for path in HERE.iterdir() if path.is_dir() and path.name != "__pycache__")
PARTS = {"command", "stdout", "stderr", "exit"}
OPTIONAL = {"files", "stdin"}


def masked(text: str) -> str:
    """`text` without what differs from one checkout and version to the next; no line ends in spaces."""
    text = text.replace(str(CHECKOUT), "{checkout}").replace(__version__, "{version}")
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def run(case: Path, folder: Path) -> dict[str, str]:
    """What comes of the command of `case` in `folder`."""
    if (case / "files").is_dir():
        shutil.copytree(case / "files", folder, dirs_exist_ok=True)
    command = (case / "command").read_text(encoding="utf-8").replace("{checkout}", str(CHECKOUT))
    stdin = case / "stdin"
    done = subprocess.run(
        [sys.executable, "-m", "tiercli", *shlex.split(command)],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONWARNINGS": "error",
            "NO_COLOR": "1",
            "TERM": "dumb",
            "COLUMNS": "120",
        },
        input=stdin.read_bytes() if stdin.exists() else b"",
        capture_output=True,
        timeout=60,
        check=False,
    )
    return {
        "stdout": masked(done.stdout.decode()),
        "stderr": masked(done.stderr.decode()),
        "exit": f"{done.returncode}\n",
    }


def holds(written: str, got: str) -> bool:
    """Whether `got` is what is `written`, where a line of … is any lines."""
    parts = re.split(r"^…\n", written, flags=re.MULTILINE)
    return re.fullmatch(r"(?:.*\n)*?".join(map(re.escape, parts)), got) is not None


@pytest.mark.parametrize("case", RUNS, ids=lambda case: case.name)
def test_a_run_says_and_exits_as_written_down(case: Path, tmp_path: Path) -> None:
    got = run(case, tmp_path)
    written = {name: (case / name).read_text(encoding="utf-8") if (case / name).exists() else None for name in got}
    wrong = {name: text for name, text in written.items() if text is None or not holds(text, got[name])}
    if os.environ.get("TIERCLI_GOLDEN") == "update":
        for name in wrong:
            (case / name).write_text(got[name], encoding="utf-8")
    else:
        assert {name: got[name] for name in wrong} == wrong
    parts = {path.name for path in case.iterdir()}
    assert parts >= PARTS
    assert parts <= PARTS | OPTIONAL


@pytest.mark.parametrize(
    ("written", "got", "same"),
    [
        pytest.param("a\n", "a\n", True, id="the same text"),
        pytest.param("a\n", "a\nb\n", False, id="a line more"),
        pytest.param("a\n…\nc\n", "a\nb\nb\nc\n", True, id="any lines between two"),
        pytest.param("a\n…\nc\n", "a\nc\n", True, id="no line between two"),
        pytest.param("a\n…\nc\n", "a\nb\n", False, id="any lines and not the last"),
        pytest.param("a…\n", "abc\n", False, id="an ellipsis in a line is itself"),
    ],
)
def test_a_line_of_an_ellipsis_stands_for_any_lines(written: str, got: str, same: bool) -> None:
    assert holds(written, got) is same


def test_there_are_runs() -> None:
    assert len(RUNS) > 5

"""What can happen to a folder between two runs and during one: links, strangers, a full disk, a kill, another run."""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import HYBRID
from tests.output.test_writing import contents, tree_of
from tiercli.errors import CheckFailed, InvalidInput
from tiercli.output.writing import plan_changes, write_tree


def snapshot(folder: Path) -> dict[str, bytes]:
    """Everything below a folder, hidden files and empty folders too."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"a folder"
        for path in folder.rglob("*")
    }


def generate(folder: Path, *more: str, limit_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
    """`tiercli generate` in a process of its own, which may be kept from writing files above a size."""

    def limit() -> None:
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    command = [sys.executable, "-m", "tiercli", "generate", str(HYBRID), "--out", str(folder), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, preexec_fn=limit)


def test_a_disk_that_is_full_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    assert generate(tmp_path / "out").returncode == 0
    write_tree(tmp_path / "out", tree_of(only="this"), force=True)
    (tmp_path / "out" / "mine.txt").write_text("mine")
    before = snapshot(tmp_path / "out")
    # Room for the small files, and not for the dashboards.
    done = generate(tmp_path / "out", limit_bytes=4096)
    assert done.returncode == 3
    assert "file too large" in done.stderr
    assert "the folder is unchanged" in done.stderr
    assert "Traceback" not in done.stderr
    assert snapshot(tmp_path / "out") == before


def test_a_disk_that_is_full_leaves_no_new_folder(tmp_path: Path) -> None:
    done = generate(tmp_path / "deep" / "out", limit_bytes=4096)
    assert done.returncode == 3
    assert snapshot(tmp_path) == {}


def test_a_run_that_was_killed_midway_is_completed_by_the_next(tmp_path: Path) -> None:
    old, new = tree_of(a="1", b="1", gone="1"), tree_of(a="2", b="2", c="2")
    write_tree(tmp_path, old)
    # As a kill leaves it: some files new, the manifest old, the staging folder still there.
    (tmp_path / "a").write_text("2")
    (tmp_path / ".tiercli-staging-x").mkdir()
    (tmp_path / ".tiercli-staging-x" / "old-0").write_text("1")
    write_tree(tmp_path, new)
    assert contents(tmp_path) == new


def test_the_manifest_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = []
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        order.append(Path(target).name)
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    write_tree(tmp_path, tree_of(a="1", zz="1"))
    assert order == ["a", "zz", "manifest.json"]


def write_many(folder: Path, text: str) -> None:
    names = [*(f"f{number}" for number in range(30)), *(f"{text}{number}" for number in range(30))]
    write_tree(folder, tree_of(**dict.fromkeys(names, text)), force=True)


def test_two_runs_at_once_leave_the_tree_of_one_of_them(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    runs = [context.Process(target=write_many, args=(tmp_path, text)) for text in ("one", "two") * 3]
    for run in runs:
        run.start()
    for run in runs:
        run.join(timeout=30)
    assert [run.exitcode for run in runs] == [0] * len(runs)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert len({text for path, text in contents(tmp_path).items() if path != "manifest.json"}) == 1


def test_a_manifest_that_is_not_ours_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "a web app", "files": {"app.js": "0"}}')
    (tmp_path / "app.js").write_text("theirs")
    with pytest.raises(CheckFailed):
        write_tree(tmp_path, tree_of(a="1"))
    assert set(contents(tmp_path)) == {"manifest.json", "app.js"}
    write_tree(tmp_path, tree_of(a="1"), force=True)
    assert (tmp_path / "app.js").read_text() == "theirs"


def test_a_manifest_cannot_name_files_outside_to_be_removed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_tree(out, tree_of(a="1"))
    (tmp_path / "victim").write_text("theirs")
    text = (out / "manifest.json").read_text().replace('"files": {', '"files": {"../victim": "0",')
    (out / "manifest.json").write_text(text)
    for attempt in (lambda: write_tree(out, tree_of(a="1"), force=True), lambda: plan_changes(out, tree_of(a="1"))):
        with pytest.raises(InvalidInput):
            attempt()
    assert (tmp_path / "victim").read_text() == "theirs"


@pytest.mark.parametrize("leads_to", ["elsewhere.txt", "nowhere.txt"])
def test_a_link_in_place_of_a_file_is_somebodys(tmp_path: Path, leads_to: str) -> None:
    (tmp_path / "elsewhere.txt").write_text("theirs")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / leads_to)
    with pytest.raises(CheckFailed):
        write_tree(tmp_path / "out", tree_of(a="1"))
    assert (tmp_path / "out" / "a").is_symlink()
    write_tree(tmp_path / "out", tree_of(a="1"), force=True)
    assert not (tmp_path / "out" / "a").is_symlink()
    assert (tmp_path / "elsewhere.txt").read_text() == "theirs"
    assert not (tmp_path / "nowhere.txt").exists()


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        pytest.param(
            lambda out: (out / "sub" / "b").mkdir(parents=True), "a folder in the place of a file", id="folder"
        ),
        pytest.param(lambda out: (out / "sub").write_text("x"), "a file in the place of a folder", id="file"),
    ],
)
def test_what_is_in_the_way_is_told(tmp_path: Path, prepare: object, said: str) -> None:
    prepare(tmp_path)  # type: ignore[operator]
    before = snapshot(tmp_path)
    with pytest.raises(InvalidInput) as raised:
        write_tree(tmp_path, tree_of(sub__b="1"), force=True)
    assert said in str(raised.value.problems[0])
    assert snapshot(tmp_path) == before


def test_an_interrupt_leaves_the_folder_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(tmp_path, tree_of(a="1", b="1"))
    before = snapshot(tmp_path)
    real = os.fsync

    def interrupted(descriptor: int) -> None:
        real(descriptor)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_tree(tmp_path, tree_of(a="2", b="2", c="2"))
    assert snapshot(tmp_path) == before

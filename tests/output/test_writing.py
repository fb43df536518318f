"""A generated tree on disk: whole or not at all, edits kept, strangers' files untouched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiercli.errors import BackendError, CheckFailed, InvalidInput
from tiercli.output import writing
from tiercli.output.tree import render_manifest
from tiercli.output.writing import diff_lines, plan_changes, write_tree


def tree_of(**files: str) -> dict[str, str]:
    """A tree with a manifest, as render_tree makes it; `__` in a name stands for a slash."""
    tree = {name.replace("__", "/"): text for name, text in files.items()}
    return tree | {"manifest.json": render_manifest(tree, "estate", "env")}


def contents(folder: Path) -> dict[str, str]:
    """Every file below `folder` and its text."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_writes_a_new_folder_and_leaves_no_staging_behind(tmp_path: Path) -> None:
    tree = tree_of(a="1", sub__b="2")
    changes = write_tree(tmp_path / "out", tree)
    assert contents(tmp_path / "out") == tree
    assert changes.added == ("a", "manifest.json", "sub/b")


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    tree = tree_of(a="1")
    write_tree(tmp_path, tree)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert write_tree(tmp_path, tree).paths == ()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_prunes_what_the_last_run_wrote_and_this_one_does_not(tmp_path: Path) -> None:
    write_tree(tmp_path, tree_of(a="1", old__gone="2"))
    (tmp_path / "mine.txt").write_text("not tiercli's")
    write_tree(tmp_path, tree_of(a="1"))
    assert set(contents(tmp_path)) == {"a", "manifest.json", "mine.txt"}
    assert not (tmp_path / "old").exists()


def test_keeps_a_file_that_somebody_edited_and_names_it(tmp_path: Path) -> None:
    write_tree(tmp_path, tree_of(a="1", b="1"))
    (tmp_path / "a").write_text("edited")
    with pytest.raises(CheckFailed) as failed:
        write_tree(tmp_path, tree_of(a="2", b="2"))
    assert [line.split(":")[0] for line in failed.value.details] == [str(tmp_path / "a")]
    assert contents(tmp_path)["a"] == "edited"
    assert contents(tmp_path)["b"] == "1"


def test_an_edited_file_that_would_be_pruned_is_kept_too(tmp_path: Path) -> None:
    write_tree(tmp_path, tree_of(a="1", b="1"))
    (tmp_path / "b").write_text("edited")
    with pytest.raises(CheckFailed):
        write_tree(tmp_path, tree_of(a="1"))
    assert (tmp_path / "b").read_text() == "edited"


def test_a_stranger_in_the_way_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("was here first")
    with pytest.raises(CheckFailed):
        write_tree(tmp_path, tree_of(a="1"))
    assert contents(tmp_path) == {"a": "was here first"}


def test_force_overwrites_edits(tmp_path: Path) -> None:
    write_tree(tmp_path, tree_of(a="1"))
    (tmp_path / "a").write_text("edited")
    write_tree(tmp_path, tree_of(a="2"), force=True)
    assert contents(tmp_path)["a"] == "2"


@pytest.mark.parametrize("fails_at", [0, 1, 2, 3], ids=lambda number: f"file {number} fails")
def test_a_failure_leaves_the_folder_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    write_tree(tmp_path, tree_of(a="1", b="1", c="1"))
    before = contents(tmp_path)
    real, count = Path.replace, [0]

    def replace(self: Path, target: Path) -> Path:
        count[0] += 1
        if count[0] == fails_at + 1:
            raise OSError(28, "No space left on device", str(target))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(BackendError, match="no space left on device"):
        write_tree(tmp_path, tree_of(a="2", b="2", d__new="2"))
    monkeypatch.undo()
    assert contents(tmp_path) == before
    assert not (tmp_path / "d").exists()


def test_a_failure_in_a_new_folder_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", no_space)
    with pytest.raises(BackendError):
        write_tree(tmp_path / "out", tree_of(a="1"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", ["../outside", "/etc/outside", "a/../../outside"])
def test_nothing_is_written_outside_the_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidInput, match="cannot write the generated files into"):
        write_tree(tmp_path / "out", {path: "x"})
    assert not list(tmp_path.rglob("outside"))


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidInput, match="cannot write the generated files into"):
        write_tree(tmp_path / "out", tree_of(sub__a="1"))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_file_in_place_of_the_folder_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InvalidInput):
        write_tree(tmp_path / "out", tree_of(a="1"))


def test_a_broken_manifest_makes_every_changed_file_somebody_elses(tmp_path: Path) -> None:
    write_tree(tmp_path, tree_of(a="1"))
    (tmp_path / "manifest.json").write_text("{not json")
    with pytest.raises(CheckFailed):
        write_tree(tmp_path, tree_of(a="2"))


def test_the_diff_says_what_would_change_and_writes_nothing(tmp_path: Path) -> None:
    write_tree(tmp_path, tree_of(a="one\n", gone="x\n"))
    before = contents(tmp_path)
    new = tree_of(a="two\n", added="y\n")
    lines = list(diff_lines(tmp_path, new))
    assert "-one" in lines
    assert "+two" in lines
    assert "+++ b/added" in lines
    assert "--- a/gone" in lines
    assert plan_changes(tmp_path, new).paths
    assert contents(tmp_path) == before

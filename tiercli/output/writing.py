"""A generated tree on disk: written whole or not at all; edited files are kept, files of others are not touched."""

from __future__ import annotations

import difflib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tiercli.conventions import MANIFEST_FILE
from tiercli.errors import BackendError, CheckFailed
from tiercli.output.folder import check_folder, digest_of, read_file, read_manifest

_STAGING_PREFIX = ".tiercli-staging-"


@dataclass(frozen=True, slots=True)
class Changes:
    """What writing a tree changes in a folder; paths below it, sorted."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file that differs, sorted."""
        return tuple(sorted((*self.added, *self.changed, *self.removed)))


def plan_changes(folder: Path, tree: Mapping[str, str]) -> Changes:
    """What writing `tree` into `folder` would change. Writes nothing.

    Raises InvalidInput when `folder` cannot hold the tree, BackendError when it cannot be read.
    """
    last = read_manifest(folder)
    check_folder(folder, (*tree, *last))
    added: list[str] = []
    changed: list[str] = []
    unchanged: list[str] = []
    for path, text in tree.items():
        now = read_file(folder, path)
        exists = now is not None or (folder / path).is_symlink()  # a link that leads nowhere counts too
        (unchanged if now == text.encode() else changed if exists else added).append(path)
    removed = [path for path in last if path not in tree and read_file(folder, path) is not None]
    return Changes(tuple(sorted(added)), tuple(sorted(changed)), tuple(sorted(removed)), tuple(sorted(unchanged)))


def edited_by_hand(folder: Path, changes: Changes) -> tuple[str, ...]:
    """Files that `changes` would overwrite or remove, and that differ from what the last run wrote.

    A file that the last run did not write counts as edited too, and so does a manifest.json of another program.
    """
    last = read_manifest(folder)
    edited = []
    for path in (*changes.changed, *changes.removed):
        if path == MANIFEST_FILE and last:
            continue
        now = read_file(folder, path)
        if now is None or (folder / path).is_symlink() or digest_of(now) != last.get(path):
            edited.append(path)
    return tuple(sorted(edited))


def write_tree(folder: Path, tree: Mapping[str, str], *, force: bool = False) -> Changes:
    """Make `folder` hold `tree`; what the last run wrote and this one does not is removed.

    Everything is first written to a staging folder inside it, then moved in place, the manifest last; a failure moves all of
    it back. A run that is killed midway leaves whole files, some old and some new, and the next run completes it. Raises
    CheckFailed when a file has local changes (unless `force`), InvalidInput when the folder cannot hold the tree, and
    BackendError when the disk fails.
    """
    changes = plan_changes(folder, tree)
    _refuse_edits(folder, changes, force)
    if not changes.paths:
        return changes
    undo = _Undo()
    with ExitStack() as lock:  # undone before the lock is released
        try:
            _make_folders(folder, undo)
            lock.enter_context(_locked(folder))
            changes = plan_changes(folder, tree)  # another run may have written while this one waited for the lock
            _refuse_edits(folder, changes, force)
            _apply(folder, tree, changes, undo)
        except BaseException as error:
            left = undo.everything()
            if isinstance(error, OSError):
                hint = f"not restored: {', '.join(left)}" if left else "the folder is unchanged"
                reason = (error.strerror or str(error)).lower()
                raise BackendError(f"cannot write {error.filename or folder}: {reason}", hint=hint) from error
            raise
    return changes


def _refuse_edits(folder: Path, changes: Changes, force: bool) -> None:
    edited = () if force else edited_by_hand(folder, changes)
    if edited:
        count = f"1 file in {folder} has" if len(edited) == 1 else f"{len(edited)} files in {folder} have"
        raise CheckFailed(
            f"{count} local changes; nothing was written",
            details=[f"{folder / path}: edited, or not written by tiercli" for path in edited],
            hint="move the changes into the catalog or a --templates folder, or overwrite them with --force",
        )


def diff_lines(folder: Path, tree: Mapping[str, str]) -> Iterator[str]:
    """A unified diff from what is in `folder` to `tree`."""
    changes = plan_changes(folder, tree)
    for path in changes.paths:
        now = (read_file(folder, path) or b"").decode("utf-8", "replace").splitlines()
        before = "/dev/null" if path in changes.added else f"a/{path}"
        after = "/dev/null" if path in changes.removed else f"b/{path}"
        new = tree.get(path, "").splitlines() if path not in changes.removed else []
        yield from difflib.unified_diff(now, new, before, after, lineterm="")


class _Undo:
    """The changes made to the folder, to be undone in reverse order."""

    def __init__(self) -> None:
        self._steps: list[tuple[Path, Path | None]] = []  # (place, the copy of its old content)

    def made(self, place: Path) -> None:
        """`place`, a file or a folder, did not exist before."""
        self._steps.append((place, None))

    def replaced(self, place: Path, copy: Path) -> None:
        """`copy` holds the old content of `place`."""
        self._steps.append((place, copy))

    def everything(self) -> list[str]:
        """Undo all of it; returns the places where that failed."""
        left = []
        for place, copy in reversed(self._steps):
            try:
                if copy is not None:
                    copy.replace(place)
                elif place.is_dir() and not place.is_symlink():
                    shutil.rmtree(place) if place.name.startswith(_STAGING_PREFIX) else place.rmdir()
                else:
                    place.unlink(missing_ok=True)
            except OSError:
                left.append(str(place))
        self._steps.clear()
        return left


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One run at a time in a folder; the lock ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _apply(folder: Path, tree: Mapping[str, str], changes: Changes, undo: _Undo) -> None:
    # Under the lock, no other run uses what an earlier run left behind.
    for leftover in folder.glob(f"{_STAGING_PREFIX}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=folder))
    undo.made(staging)
    written = sorted((*changes.added, *changes.changed), key=lambda path: (path == MANIFEST_FILE, path))
    for number, path in enumerate(written):
        _write_file(staging / f"new-{number}", tree[path])
    for number, path in enumerate((*changes.changed, *changes.removed)):
        shutil.copy2(folder / path, staging / f"old-{number}", follow_symlinks=False)
    copies = {path: staging / f"old-{number}" for number, path in enumerate((*changes.changed, *changes.removed))}
    for number, path in enumerate(written):
        _make_folders((folder / path).parent, undo)
        (staging / f"new-{number}").replace(folder / path)
        undo.replaced(folder / path, copies[path]) if path in copies else undo.made(folder / path)
    for path in changes.removed:
        (folder / path).unlink()
        undo.replaced(folder / path, copies[path])
    shutil.rmtree(staging, ignore_errors=True)
    _remove_empty_parents(folder, changes.removed)


def _write_file(place: Path, text: str) -> None:
    with place.open("wb") as stream:
        stream.write(text.encode())
        stream.flush()
        os.fsync(stream.fileno())


def _make_folders(place: Path, undo: _Undo) -> None:
    missing = [folder for folder in (place, *place.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir()
        undo.made(folder)


def _remove_empty_parents(folder: Path, removed: Sequence[str]) -> None:
    for path in removed:
        for parent in (folder / path).parents:
            if parent == folder or not parent.is_dir() or any(parent.iterdir()):
                break
            parent.rmdir()

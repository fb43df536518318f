"""A generated tree on disk: all of it or none of it, what a person edited is kept, what is not ours is not touched."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tiercli.conventions import MANIFEST_FILE
from tiercli.errors import BackendError, CheckFailed, InvalidInput, Location, Problem


@dataclass(frozen=True, slots=True)
class Changes:
    """What writing a tree changes in a folder; paths below it, sorted."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether the folder is not what the tree says."""
        return bool(self.added or self.changed or self.removed)


def plan_changes(folder: Path, tree: Mapping[str, str]) -> Changes:
    """What writing `tree` into `folder` would change. Writes nothing."""
    added: list[str] = []
    changed: list[str] = []
    unchanged: list[str] = []
    for path, text in tree.items():
        now = _read(folder, path)
        (added if now is None else unchanged if now == text.encode() else changed).append(path)
    removed = [path for path in _manifest(folder) if path not in tree and _read(folder, path) is not None]
    return Changes(tuple(sorted(added)), tuple(sorted(changed)), tuple(sorted(removed)), tuple(sorted(unchanged)))


def edited_by_hand(folder: Path, tree: Mapping[str, str]) -> tuple[str, ...]:
    """Files that writing `tree` would change or remove, and that are no longer what the last run wrote.

    A file that the last run did not write is somebody else's, and counts as edited too.
    """
    last = _manifest(folder)
    edited = []
    changes = plan_changes(folder, tree)
    for path in (*changes.changed, *changes.removed):
        if path == MANIFEST_FILE:
            continue
        now = _read(folder, path)
        if now is not None and hashlib.sha256(now).hexdigest() != last.get(path):
            edited.append(path)
    return tuple(sorted(edited))


def write_tree(folder: Path, tree: Mapping[str, str], *, force: bool = False) -> Changes:
    """Make `folder` hold `tree`; what the last run wrote and this one does not is removed.

    Everything is first written beside the folder's files, then moved in place; a failure moves all of it back. Raises
    CheckFailed when a file was edited by hand (unless `force`), InvalidInput when the folder cannot be one, and
    BackendError when the disk fails.
    """
    _check_paths(folder, tree)
    edited = () if force else edited_by_hand(folder, tree)
    if edited:
        raise CheckFailed(
            f"{len(edited)} of the files in {folder} were edited by hand; nothing was written",
            details=[f"{folder / path}: not as the last run wrote it" for path in edited],
            hint="keep the edit in the catalog or in a --templates folder, or overwrite it with --force",
        )
    changes = plan_changes(folder, tree)
    if not changes.any:
        return changes
    try:
        _apply(folder, tree, changes)
    except OSError as error:
        raise BackendError(
            f"cannot write {error.filename or folder}: {(error.strerror or str(error)).lower()}",
            hint="the folder is as it was before",
        ) from error
    return changes


def diff_lines(folder: Path, tree: Mapping[str, str]) -> Iterator[str]:
    """A unified diff from what is in `folder` to `tree`."""
    changes = plan_changes(folder, tree)
    for path in sorted((*changes.added, *changes.changed, *changes.removed)):
        now = (_read(folder, path) or b"").decode("utf-8", "replace").splitlines()
        new = tree.get(path, "").splitlines()
        before = "/dev/null" if path in changes.added else f"a/{path}"
        after = "/dev/null" if path in changes.removed else f"b/{path}"
        yield from difflib.unified_diff(now, new, before, after, lineterm="")


def _apply(folder: Path, tree: Mapping[str, str], changes: Changes) -> None:
    made_folder = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".tiercli-", dir=folder))
    undo: list[tuple[Path, Path | None]] = []  # (place, where what stood there is kept)
    made: list[Path] = []
    try:
        written = (*changes.added, *changes.changed)
        for number, path in enumerate(written):
            new = staging / f"new-{number}"
            with new.open("wb") as stream:
                stream.write(tree[path].encode())
                stream.flush()
                os.fsync(stream.fileno())
        for number, path in enumerate((*changes.changed, *changes.removed)):
            kept = staging / f"old-{number}"
            (folder / path).rename(kept)
            undo.append((folder / path, kept))
        for number, path in enumerate(written):
            _make_parents(folder, folder / path, made)
            (staging / f"new-{number}").rename(folder / path)
            undo.append((folder / path, None))
    except BaseException:
        for place, backup in reversed(undo):
            if backup is None:
                place.unlink(missing_ok=True)
            else:
                backup.rename(place)
        for parent in reversed(made):
            parent.rmdir()
        shutil.rmtree(staging, ignore_errors=True)
        if made_folder:
            folder.rmdir()
        raise
    shutil.rmtree(staging, ignore_errors=True)
    for path in changes.removed:
        _remove_empty_parents(folder, (folder / path).parent)


def _make_parents(folder: Path, place: Path, made: list[Path]) -> None:
    missing = [parent for parent in place.parents if parent.is_relative_to(folder) and not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir()
        made.append(parent)


def _remove_empty_parents(folder: Path, parent: Path) -> None:
    while parent != folder and parent.is_dir() and not any(parent.iterdir()):
        parent.rmdir()
        parent = parent.parent


def _check_paths(folder: Path, tree: Mapping[str, str]) -> None:
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(
            f"{folder} is not a folder", [Problem(Location(str(folder)), "a file", "a folder for --out")]
        )
    for path in (*tree, *_manifest(folder)):
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts:
            raise InvalidInput(f"{path!r} would be written outside {folder}")
        place = folder
        for part in pure.parts[:-1]:
            place /= part
            if place.is_symlink():
                found = "a symbolic link, which could lead out of the folder"
                raise InvalidInput(f"{place} is a link", [Problem(Location(str(place)), found, "a folder")])


def _manifest(folder: Path) -> dict[str, str]:
    try:
        files = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))["files"]
        return {str(path): str(digest) for path, digest in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _read(folder: Path, path: str) -> bytes | None:
    try:
        return (folder / path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None

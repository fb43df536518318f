"""A generated folder: its manifest, its files, and paths that must not lead out of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tiercli.conventions import GENERATOR, MANIFEST_FILE
from tiercli.errors import BackendError, InvalidInput, Location, Problem


def digest_of(content: bytes) -> str:
    """The hash of a file in a manifest."""
    return hashlib.sha256(content).hexdigest()


def read_manifest(folder: Path) -> dict[str, str]:
    """The hash of each file that the last run wrote, by path; empty without a manifest of tiercli's."""
    try:
        content = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        if not str(content["generator"]).startswith(f"{GENERATOR} "):
            return {}
        return {str(path): str(digest) for path, digest in content["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def read_file(folder: Path, path: str) -> bytes | None:
    """The content of a file; None when it does not exist. Raises BackendError when it cannot be read."""
    try:
        return (folder / path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BackendError(f"cannot read {folder / path}: {(error.strerror or str(error)).lower()}") from error


def check_folder(folder: Path, paths: Iterable[str]) -> None:
    """Raise InvalidInput when a path leads out of `folder`, by itself or by a link, or a folder is where a file belongs."""
    problems = dict.fromkeys(_problems(folder, paths))
    if problems:
        raise InvalidInput(f"cannot write the generated files into {folder}", problems)


def _problems(folder: Path, paths: Iterable[str]) -> Iterable[Problem]:
    if folder.exists() and not folder.is_dir():
        yield Problem(Location(str(folder)), "a file", "a folder for --out")
        return
    for path in paths:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts or not path.isprintable():
            yield Problem(Location(str(folder / MANIFEST_FILE)), f"the path {path!r}", "paths below the folder")
            continue
        place = folder
        for part in pure.parts[:-1]:
            place /= part
            if place.is_symlink():
                link = "a symbolic link, which could lead out of the folder"
                yield Problem(Location(str(place)), link, "a folder")
                break
            if place.exists() and not place.is_dir():
                yield Problem(Location(str(place)), "a file in the place of a folder", "a folder")
                break
        else:
            if (folder / path).is_dir():
                yield Problem(Location(str(folder / path)), "a folder in the place of a file", "a file")

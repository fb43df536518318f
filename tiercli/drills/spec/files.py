"""Drill specs on disk: the ones that come with tiercli, an operator's own folder before them."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from tiercli.catalog.document import Document, read_document
from tiercli.catalog.shape import load_model
from tiercli.drills.spec.model import DrillSpec
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.resources import resource_folder


def drill_files(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """The path of each drill by name, `folders` searched before tiercli's own; sorted by name."""
    files: dict[str, Path] = {}
    for folder in (*folders, resource_folder("drills")):
        for path in sorted(folder.glob("*.yaml")):
            files.setdefault(path.stem, path)
    return dict(sorted(files.items()))


def find_drill(name: str, folders: Sequence[Path] = ()) -> Path:
    """The file of the drill `name`, which may also be a path. Raises InvalidInput that lists the known drills."""
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    known = drill_files(folders)
    if name not in known:
        near = get_close_matches(name, known, n=1)
        raise InvalidInput(
            f"unknown drill {name!r}",
            [Problem(Location("command line"), f"unknown drill {name!r}", ", ".join(known), near[0] if near else "")],
        )
    return known[name]


def load_drill(path: Path) -> tuple[DrillSpec, Document]:
    """A drill's spec and the document that knows its places. Raises InvalidInput with every problem of its shape.

    Its cross references are checked by check.py, which needs the catalog and the alarms.
    """
    document = read_document(path)
    spec = load_model(document, DrillSpec)
    if spec.name != path.stem:
        raise InvalidInput(
            f"{path} is not named for its drill",
            [Problem(document.locate(("name",)), f"name is {spec.name!r}", f"{path.stem!r}, as the file is named")],
        )
    return spec, document

"""Drill specs on disk: the ones that come with tiercli, an operator's own folder before them."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from tiercli.catalog.document import Document, read_document
from tiercli.catalog.shape import load_model
from tiercli.drills.record.events import RunStarted, Timeline
from tiercli.drills.record.run_folder import SPEC, TIMELINE
from tiercli.drills.spec.model import DrillSpec
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.resources import resource_folder


def drill_files(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """The path of each drill by name, `folders` searched before tiercli's own; sorted by name."""
    found: dict[str, Path] = {}
    for folder in (*folders, resource_folder("drills")):
        for path in sorted(folder.glob("*.yaml")):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


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

    Its cross references are checked by spec_check.py, which needs the catalog and the alarms.
    """
    document = read_document(path)
    spec = load_model(document, DrillSpec)
    if spec.name != path.stem:
        raise InvalidInput(
            f"{path} is not named for its drill",
            [Problem(document.locate(("name",)), f"name is {spec.name!r}", f"{path.stem!r}, as the file is named")],
        )
    return spec, document


def load_run_spec(folder: Path, timeline: Timeline) -> DrillSpec:
    """The spec that a run was made with: its folder's, else, as a run that was killed has no such file, its timeline's. Raises
    InvalidInput where neither has one."""
    if (folder / SPEC).exists():
        return load_model(read_document(folder / SPEC), DrillSpec)
    place = str(folder / TIMELINE)
    run = timeline.first(RunStarted)
    if run is None or not run.spec:
        problem = Problem(
            Location(place), "it ends before the drill began", f"a run that began, or one with its {SPEC}"
        )
        raise InvalidInput(f"nothing says what the run of {folder} was", [problem])
    return load_model(Document(place, run.spec, {}, {}), DrillSpec)

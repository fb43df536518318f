"""Folders of alarm files: templates/alerts/, and an operator's own, given with a command or named by the catalog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tiercli.catalog.loading import LoadedCatalog
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.resources import resource_folder
from tiercli.rules.alarm import Alarm

SUFFIX = ".yml.j2"


def alarm_paths(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """The file of each alarm by name, sorted; the first folder that has it wins, tiercli's own is last. Raises InvalidInput for
    a folder that does not exist."""
    paths: dict[str, Path] = {}
    for folder in (*folders, own_folder()):
        if not folder.is_dir():
            raise InvalidInput(f"{folder} is not a folder", hint="--templates names a folder of alarm files")
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            paths.setdefault(path.name.removesuffix(SUFFIX), path)
    return dict(sorted(paths.items()))


def own_folder() -> Path:
    """tiercli's own alarms."""
    return resource_folder("templates") / "alerts"


def catalog_folders(loaded: LoadedCatalog) -> tuple[Path, ...]:
    """The folders that a catalog names, relative to its file. Raises InvalidInput with each that does not exist."""
    beside = Path(loaded.document.name).parent
    folders = tuple(beside / folder for folder in loaded.catalog.templates)
    problems = [
        loaded.problem(
            ("templates", position), f"{folder} is not a folder", "a folder of alarm files, beside this file"
        )
        for position, folder in enumerate(folders)
        if not folder.is_dir()
    ]
    if problems:
        raise InvalidInput("missing folders of alarm files", problems)
    return folders


def alarms_of_one_name(
    folders: Sequence[Path], paths: Mapping[str, Path], alarms: Mapping[str, Alarm]
) -> Iterator[Problem]:
    """Two files with an alarm of the same name, unless one replaces tiercli's own."""
    for name, alarm in alarms.items():
        path = paths[name]
        others = [folder / f"{name}{SUFFIX}" for folder in dict.fromkeys((*folders, own_folder()))]
        others = [other for other in others if other != path and other.is_file()]
        if alarm.replaces and others == [own_folder() / path.name]:
            continue
        for other in others:
            message = f"two alarms are called {name}: the other is in {other}"
            yield Problem(
                Location(str(path), 1), message, "another name, or `replaces: true` to replace tiercli's own alarm"
            )
        if alarm.replaces and not others:
            message = f"{name} has `replaces: true`, but tiercli has no alarm of that name"
            yield Problem(Location(str(path), 1), message, "the name of an alarm of tiercli, or no `replaces`")

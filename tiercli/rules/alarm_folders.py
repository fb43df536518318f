"""Where alarm files lie: templates/alerts/, and an operator's own folders, given with a command or named by the catalog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tiercli.catalog.loading import LoadedCatalog
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.resources import resource_folder
from tiercli.rules.alarm import Alarm

SUFFIX = ".yml.j2"


def alarm_paths(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """The file of each alarm by name, sorted; the first folder that has it wins, tiercli's own is last. Raises InvalidInput
    where a folder is none."""
    found: dict[str, Path] = {}
    for folder in (*folders, own_folder()):
        if not folder.is_dir():
            raise InvalidInput(f"{folder} is not a folder", hint="--templates names a folder of alarm files")
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            found.setdefault(path.name.removesuffix(SUFFIX), path)
    return dict(sorted(found.items()))


def own_folder() -> Path:
    """tiercli's own alarms."""
    return resource_folder("templates") / "alerts"


def catalog_folders(loaded: LoadedCatalog) -> tuple[Path, ...]:
    """The folders that a catalog names, relative to its file. Raises InvalidInput for each that is none."""
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
        raise InvalidInput("folders of alarm files that are not there", problems)
    return folders


def alarms_of_one_name(
    folders: Sequence[Path], paths: Mapping[str, Path], alarms: Mapping[str, Alarm]
) -> Iterator[Problem]:
    """Two files that hold an alarm of one name, unless one says that it stands in place of tiercli's own."""
    for name, alarm in alarms.items():
        path = paths[name]
        others = [folder / f"{name}{SUFFIX}" for folder in dict.fromkeys((*folders, own_folder()))]
        others = [other for other in others if other != path and other.is_file()]
        if alarm.replaces and others == [own_folder() / path.name]:
            continue
        for other in others:
            said = f"two alarms are called {name}: the other is in {other}"
            yield Problem(
                Location(str(path), 1), said, "another name, or `replaces: true` in place of one of tiercli's own"
            )
        if alarm.replaces and not others:
            said = f"{name} says `replaces: true`, and tiercli has no alarm of that name"
            yield Problem(Location(str(path), 1), said, "the name of one that there is, or no `replaces`")

"""Alarm files on disk: every file of templates/alerts/, an operator's own folders before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2

from tiercli.catalog.document import Document, parse_document
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import AlarmSettings
from tiercli.catalog.shape import load_model
from tiercli.catalog.validation import unknown_name
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.resources import resource_folder
from tiercli.rules.alarm import Alarm
from tiercli.rules.alarm_templates import alarm_context, template_environment
from tiercli.signals.contract import DURATION_BUCKETS
from tiercli.signals.timing import Timing

SUFFIX = ".yml.j2"


def alarm_paths(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """The file of each alarm by name, sorted; the first folder that has it wins, tiercli's own is last."""
    found: dict[str, Path] = {}
    for folder in (*folders, resource_folder("templates") / "alerts"):
        if not folder.is_dir():
            raise InvalidInput(f"{folder} is not a folder", hint="--templates names a folder of alarm files")
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            found.setdefault(path.name.removesuffix(SUFFIX), path)
    return dict(sorted(found.items()))


def load_alarms(loaded: LoadedCatalog, timing: Timing, folders: Sequence[Path] = ()) -> tuple[Alarm, ...]:
    """Every alarm, sorted by name, as `loaded` sets it. Raises InvalidInput with every problem of the alarm files and
    of what the catalog says of alarms."""
    paths = alarm_paths(folders)
    problems = list(_settings_problems(loaded, paths))
    alarms: list[Alarm] = []
    for name, path in paths.items():
        try:
            alarms.append(_load_alarm(name, path, loaded, timing))
        except InvalidInput as error:
            problems += error.problems
    if problems:
        raise InvalidInput("alarms and catalog do not fit", list(dict.fromkeys(problems)))
    return tuple(alarms)


def _settings_problems(loaded: LoadedCatalog, paths: dict[str, Path]) -> Iterator[Problem]:
    for name in loaded.catalog.alarms:
        if name not in paths:
            yield unknown_name("alarm", name, paths, loaded.document.locate(("alarms", name), key=True))


def _load_alarm(name: str, path: Path, loaded: LoadedCatalog, timing: Timing) -> Alarm:
    text = path.read_text(encoding="utf-8")
    # The first pass is for what the file says of itself, which its own expressions need.
    first = _document(path, text, loaded, timing, name, ("provider", "model", "region"), None).value
    identity = tuple(first.get("identity") or ())
    thresholds = first.get("thresholds") or {}
    defaults = {
        key: float(one["default"]) for key, one in thresholds.items() if isinstance(one, dict) and "default" in one
    }
    settings = loaded.catalog.alarms.get(name, AlarmSettings())
    problems = list(_threshold_problems(loaded, name, settings, thresholds))
    if problems:
        raise InvalidInput(f"unknown thresholds of {name}", problems)
    document = _document(path, text, loaded, timing, name, identity, defaults | settings.thresholds)
    alarm = load_model(document, Alarm)
    if alarm.alarm != name:
        raise InvalidInput(
            f"{path} is not named for its alarm",
            [Problem(document.locate(("alarm",)), f"alarm is {alarm.alarm!r}", f"{name!r}, as the file is named")],
        )
    changes: dict[str, Any] = {
        "owner": settings.owner or alarm.owner,
        "severity": settings.severity or alarm.severity,
        "for_": timing.duration(settings.for_) if settings.for_ else alarm.for_,
    }
    return alarm.model_copy(update=changes)


def _document(
    path: Path,
    text: str,
    loaded: LoadedCatalog,
    timing: Timing,
    name: str,
    identity: tuple[str, ...],
    defaults: dict[str, float] | None,
) -> Document:
    known = _Anything() if defaults is None else defaults
    try:
        template = template_environment(timing).from_string(text)
        rendered = template.render(alarm_context(name, loaded.catalog, timing, identity, known))
    except jinja2.TemplateSyntaxError as error:
        raise InvalidInput(
            f"{path} is no template", [Problem(Location(str(path), error.lineno), str(error.message))]
        ) from error
    except (jinja2.UndefinedError, KeyError, ValueError, TypeError) as error:
        said = f"threshold {error} is not declared" if isinstance(error, KeyError) else str(error)
        raise InvalidInput(f"{path} cannot be rendered", [Problem(Location(str(path)), said)]) from error
    return parse_document(rendered, str(path))


class _Anything(dict[str, float]):
    """Stands for thresholds that are not known yet."""

    def __missing__(self, key: str) -> float:
        return 1.0


def _threshold_problems(
    loaded: LoadedCatalog, name: str, settings: AlarmSettings, thresholds: dict[str, Any]
) -> Iterator[Problem]:
    last_bucket = max(DURATION_BUCKETS)
    groups = [(("alarms", name, "thresholds"), settings.thresholds)]
    groups += [
        (("alarms", name, "overrides", position, "thresholds"), override.thresholds)  # type: ignore[misc]
        for position, override in enumerate(settings.overrides)
    ]
    for place, values in groups:
        for key, value in values.items():
            at = loaded.document.locate((*place, key), key=True)
            if key not in thresholds:
                yield unknown_name("threshold", key, thresholds, at, f" of {name}")
            elif thresholds[key].get("bounds_quantile") and value >= last_bucket:
                said = f"{key} of {name} is {value:g}; no quantile can exceed the last bucket"
                yield Problem(at, said, f"below {last_bucket:g}")

"""Loading alarm files: those of templates/alerts/, and before them those of an operator's own folders."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import jinja2

from tiercli.catalog.document import Document, parse_document, read_text
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import AlarmSettings, Catalog
from tiercli.catalog.names import unknown_name
from tiercli.catalog.shape import load_model
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.rules.alarm import Alarm
from tiercli.rules.alarm_checks import AlarmFile, check_alarm_files, check_settings
from tiercli.rules.alarm_folders import alarm_paths, alarms_of_one_name, catalog_folders
from tiercli.rules.alarm_templates import Raw, alarm_context, compiled_template
from tiercli.rules.case_subjects import Subjects
from tiercli.rules.recording import CanonicalRecords, canonical_records, raw_signals
from tiercli.rules.thresholds import limits_of, overridden_thresholds
from tiercli.signals.boards import Board, board_paths, load_boards
from tiercli.signals.template_lines import lines_of, marked, relocated
from tiercli.signals.timing import Timing

_NO_CASES = "\ncases: [{name: left out, proves: fires, series: []}]\n"
_FROM_CASES_ON = re.compile(r"^cases:", re.MULTILINE)
# An alarm's identity is known only after its file has been rendered.
_ANY_IDENTITY = ("provider", "model", "region")


@dataclasses.dataclass(frozen=True, slots=True)
class AlarmSet:
    """The alarms of a catalog, sorted by name; the canonical layer that they read, in which what only alarms that are left out
    record is unbound; the alarms that are left out (by name, the
    signals that no source of the catalog provides, each with the reason); the file of each alarm; and the boards that show them."""

    alarms: tuple[Alarm, ...]
    canonical: CanonicalRecords
    left_out: dict[str, dict[str, str]]
    paths: dict[str, Path]
    boards: Mapping[str, Board]


# The alarms that were last loaded, and for which request.
_LAST: list[tuple[LoadedCatalog, object, AlarmSet]] = []


def load_alarms(loaded: LoadedCatalog, timing: Timing, template_folders: Sequence[Path] = ()) -> tuple[Alarm, ...]:
    """Every alarm whose signals the catalog's sources provide, sorted by name, with the settings of `loaded` and the durations
    of `timing`. Raises InvalidInput as load_alarm_set does."""
    return load_alarm_set(loaded, timing, template_folders).alarms


def load_alarm_set(
    loaded: LoadedCatalog, timing: Timing, template_folders: Sequence[Path] = (), *, with_cases: bool = True
) -> AlarmSet:
    """The alarms, and those left out. Without cases, loading takes a third of the time; the alarms then have their series, labels
    and owners, but not the catalog's thresholds.

    Raises InvalidInput with every problem of the alarm files and of the catalog's settings of alarms. A setting demands its
    alarm: missing signals of that alarm are a problem.
    """
    folders = (*template_folders, *catalog_folders(loaded))
    paths = alarm_paths(folders)
    # Checks and later stages load the alarms of the same catalog, and rendering them is most of the work.
    files = (*paths.values(), *board_paths(folders).values())
    request = (timing, folders, with_cases, tuple((path, _state(path)) for path in files))
    if _LAST and _LAST[0][0] is loaded and _LAST[0][1] == request:
        return _LAST[0][2]
    try:
        alarm_set = _load_alarm_set(loaded, timing, paths, folders, with_cases=with_cases)
    except InvalidInput:
        if with_cases:
            raise
        # A file may have its cases elsewhere than at its end, and problems are reported for whole files.
        alarm_set = _load_alarm_set(loaded, timing, paths, folders, with_cases=True)
    _LAST[:] = [(loaded, request, alarm_set)]
    return alarm_set


def _state(path: Path) -> tuple[int, int]:
    """Modification time (ns) and size: they show whether a file was changed."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0  # reading it will report the problem
    return stat.st_mtime_ns, stat.st_size


def _load_alarm_set(
    loaded: LoadedCatalog, timing: Timing, paths: dict[str, Path], folders: Sequence[Path], *, with_cases: bool
) -> AlarmSet:
    problems: list[Problem] = []
    canonical = CanonicalRecords({})
    try:
        canonical = canonical_records(loaded, timing)
    except InvalidInput as error:
        problems += error.problems
    problems += _unknown_alarms(loaded, paths)
    boards: Mapping[str, Board] = {}
    try:
        boards = load_boards(loaded.catalog, folders)
    except InvalidInput as error:
        problems += error.problems
    files: list[AlarmFile] = []
    raw = raw_signals(loaded, timing)
    templates = [_Template(name, path, loaded, timing, raw, with_cases) for name, path in paths.items()]
    for template in templates:
        try:
            files.append(_load_alarm(template))
        except _TemplateFails as error:
            problems += error.problems
        except InvalidInput as error:
            problems += template.relocated(error.problems)
    problems += alarms_of_one_name(folders, paths, {file.alarm.alarm: file.alarm for file in files})
    for file in files:
        file.alarm.panel.found_in(boards)
    if len(files) == len(paths) and boards and with_cases:
        wrong = list(check_alarm_files(files, loaded.catalog, boards))
        for template in templates if wrong else ():
            wrong = template.relocated(wrong)
        problems += wrong
    left_out = {file.alarm.alarm: missing for file in files if (missing := _missing(file.alarm, canonical))}
    problems += _demanded(loaded, left_out)
    canonical = _without_records(canonical, [file.alarm for file in files], left_out)
    if problems:
        raise InvalidInput("alarms and catalog do not fit", list(dict.fromkeys(problems)))
    return AlarmSet(
        tuple(file.alarm for file in files if file.alarm.alarm not in left_out), canonical, left_out, paths, boards
    )


def _missing(alarm: Alarm, canonical: CanonicalRecords) -> dict[str, str]:
    return canonical.missing((alarm.expr, *(record.expr for record in alarm.records)))


def _without_records(
    canonical: CanonicalRecords, alarms: Sequence[Alarm], left_out: Mapping[str, Mapping[str, str]]
) -> CanonicalRecords:
    """`canonical` where what only the alarms of `left_out` record is unbound too, for the first reason of its alarm."""
    kept = {record.record for alarm in alarms if alarm.alarm not in left_out for record in alarm.records}
    kept |= {record.name for records in canonical.groups.values() for record in records}
    gone = {
        record.record: next(iter(left_out[alarm.alarm].values()))
        for alarm in alarms
        if alarm.alarm in left_out
        for record in alarm.records
        if record.record not in kept
    }
    return dataclasses.replace(canonical, unbound=canonical.unbound | gone)


def _demanded(loaded: LoadedCatalog, left_out: dict[str, dict[str, str]]) -> Iterator[Problem]:
    for name, missing in left_out.items():
        if name in loaded.catalog.alarms:
            message = f"{name} needs " + ", ".join(f"{series} ({why})" for series, why in missing.items())
            yield loaded.problem(
                ("alarms", name), message, "a source that provides it, or no settings for this alarm", key=True
            )


def _unknown_alarms(loaded: LoadedCatalog, paths: dict[str, Path]) -> Iterator[Problem]:
    for name in loaded.catalog.alarms:
        if name not in paths:
            yield unknown_name("alarm", name, paths, loaded.document.locate(("alarms", name), key=True))


def _load_alarm(template: _Template) -> AlarmFile:
    """One alarm. Its template is rendered once for its identity and thresholds, and again with them; if the catalog has
    overrides, a third time for unit tests about labels that they cover."""
    name, path, loaded, timing = template.name, template.path, template.loaded, template.timing
    catalog = loaded.catalog
    document = template.render(_ANY_IDENTITY, _Anything(), overridden=False)
    first = load_model(document, Alarm)
    problems = list(check_settings(loaded, name, first))
    if first.alarm != name:
        message = f"alarm is {first.alarm!r}"
        problems.append(Problem(Location(str(path), 1), message, f"{name!r}, as the file is named"))
    if problems:
        raise InvalidInput(f"{name} and the catalog do not fit", problems)
    limits = limits_of(catalog, name, first.thresholds)
    if not template.with_cases:
        return AlarmFile(first.model_copy(update={**_settled(first, catalog, timing), "cases": ()}), document)
    document = template.render(first.identity, limits, overridden=False)
    alarm = load_model(document, Alarm)
    cases = alarm.cases
    if overridden_thresholds(catalog, name):
        other = load_model(template.render(first.identity, limits, overridden=True), Alarm)
        cases += tuple(
            case.model_copy(update={"name": f"{case.name}, with a threshold of its own"}) for case in other.cases
        )
    return AlarmFile(alarm.model_copy(update={**_settled(alarm, catalog, timing), "cases": cases}), document)


def _settled(alarm: Alarm, catalog: Catalog, timing: Timing) -> dict[str, Any]:
    """The catalog's settings that apply to all alerts of an alarm."""
    settings = catalog.alarms.get(alarm.alarm, AlarmSettings())
    return {
        "owner": settings.owner or alarm.owner or next(iter(catalog.owners)),
        "severity": settings.severity or alarm.severity,
        "for_": timing.duration(settings.for_) if settings.for_ is not None else alarm.for_,
    }


class _TemplateFails(InvalidInput):
    """A template that cannot be rendered: its problems have the template's own lines."""


@dataclasses.dataclass(slots=True)
class _Template:
    """The text of an alarm file, to be rendered for a catalog; `last`: the last context and rendered text."""

    name: str
    path: Path
    loaded: LoadedCatalog
    timing: Timing
    raw: Raw
    with_cases: bool = True
    last: tuple[dict[str, Any], str] = ({}, "")

    def render(self, identity: Sequence[str], limits: dict[str, float], *, overridden: bool) -> Document:
        """The file as YAML. Raises InvalidInput with the line of the template that fails."""
        catalog = self.loaded.catalog
        subjects = Subjects.of(catalog, self.name, overridden=overridden)
        context = alarm_context(self.name, catalog, identity, limits, subjects, self.raw)
        try:
            text = compiled_template(self._text(), self.timing).render(context)
        except jinja2.TemplateSyntaxError as error:
            raise self._failure(str(error.message), error.lineno) from error
        except KeyError as error:
            raise self._failure(f"{error} is not declared here", _template_line(error.__traceback__)) from error
        except (jinja2.TemplateError, ValueError, TypeError, AttributeError, ArithmeticError, LookupError) as error:
            raise self._failure(str(error), _template_line(error.__traceback__)) from error
        self.last = (context, text)
        return parse_document(text, str(self.path))

    def _text(self) -> str:
        text = read_text(self.path)
        return text if self.with_cases else _FROM_CASES_ON.split(text, maxsplit=1)[0] + _NO_CASES

    def relocated(self, problems: Sequence[Problem]) -> list[Problem]:
        """`problems`, with lines of this template instead of lines of the text that it was last rendered to."""
        if not self.last[1]:
            return list(problems)
        return relocated(problems, str(self.path), read_text(self.path), self.last[1], self._lines)

    def _lines(self) -> list[int]:
        try:
            return lines_of(compiled_template(marked(read_text(self.path)), self.timing).render(self.last[0]))
        except (jinja2.TemplateError, ValueError, TypeError, AttributeError, ArithmeticError, LookupError):
            return []  # a mark broke the template

    def _failure(self, message: str, line: int) -> InvalidInput:
        return _TemplateFails(f"{self.path} cannot be rendered", [Problem(Location(str(self.path), line), message)])


class _Anything(dict[str, float]):
    """In place of thresholds that are not known yet."""

    def __missing__(self, key: str) -> float:
        return 1.0


def _template_line(trace: TracebackType | None) -> int:
    """The line of the template that raised an exception: Jinja adds it to the traceback."""
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line

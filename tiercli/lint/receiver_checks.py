"""What Alertmanager itself would refuse of a receiver's `raw`, in amtool's words."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tiercli.catalog.document import KeyPath
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.raw_receivers import secrets_in
from tiercli.errors import Problem
from tiercli.lint.tools import run_tool
from tiercli.output.tree import to_yaml
from tiercli.sandbox.stack.binaries import Program, locate_programs

_UNKNOWN_KEY = re.compile(r"field (\S+) not found")
_LINE = re.compile(r"^line \d+: ")
# The place of an entry of `raw`, and the entry.
_Entry = tuple[KeyPath, Mapping[str, Any]]


def check_receivers(loaded: LoadedCatalog) -> list[Problem]:
    """A problem at every entry of `raw` that amtool refuses, at the key where it names one. None where amtool is not installed."""
    entries: list[_Entry] = [
        (("receivers", name, "raw", integration, position), entry)
        for name, receiver in loaded.catalog.receivers.items()
        for integration, listed in (receiver.raw or {}).items()
        for position, entry in enumerate(listed)
        if not secrets_in(integration, entry)  # reported, and amtool may quote what it refuses
    ]
    amtool = locate_programs()["amtool"] if entries else None
    if amtool is None or not _refused(amtool, entries):
        return []
    return [problem for entry in entries for problem in _problems(loaded, amtool, entry)]


def _problems(loaded: LoadedCatalog, amtool: Program, entry: _Entry) -> Iterator[Problem]:
    path, settings = entry
    accepted = f"what Alertmanager {amtool.version} accepts; TIERCLI_AMTOOL names another version's amtool"
    for words in _refused(amtool, [entry]):
        unknown = _UNKNOWN_KEY.search(words)
        place = path
        if unknown is not None:
            place = path[:4] if unknown[1] == path[3] else (*path, *(_path_to(unknown[1], settings) or ()))
        yield loaded.problem(place, f"amtool: {words}", accepted, key=place != path)


def _refused(amtool: Program, entries: list[_Entry]) -> list[str]:
    """What amtool finds wrong with a configuration of these entries, each of them a receiver."""
    receivers = [{"name": str(number), str(path[3]): [settings]} for number, (path, settings) in enumerate(entries)]
    with tempfile.TemporaryDirectory(prefix="tiercli-receivers-") as folder:
        file = Path(folder) / "alertmanager.yml"
        file.write_text(to_yaml({"route": {"receiver": "0"}, "receivers": receivers}), encoding="utf-8")
        code, output = run_tool(amtool.path, "check-config", str(file))
    if code == 0:
        return []
    said = output.partition("FAILED: ")[2] or output
    lines = [_LINE.sub("", line.strip()) for line in said.splitlines()]
    words = [line for line in lines if line and not line.startswith(("amtool: error:", "yaml: unmarshal errors"))]
    return words or [output.strip()]


def _path_to(key: str, value: Any) -> KeyPath | None:
    """The place of the first `key` in `value`, or None."""
    if isinstance(value, (dict, list)):
        for part, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if part == key:
                return (part,)
            below = _path_to(key, inner)
            if below is not None:
                return (part, *below)
    return None

"""What a scrape of Prometheus does with an answer before and after its text is parsed: formats, labels that are refused.

Re-expressed from Prometheus' scrape/scrape.go and model/labels, of 2.42 and of 3.x; where the two differ, it is a field of `Server`.
"""

from __future__ import annotations

import re

from tiercli.cardinality.exposition_grammar import (
    OPENMETRICS,
    PLAIN,
    Entry,
    Format,
    Label,
    Refused,
    Server,
    is_utf8,
    unescaped,
)

# What Prometheus asks a target for, protobuf apart.
ACCEPT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
NAME = b"__name__"
# A server gives these itself: what was exposed is kept as exported_job and exported_instance.
_TARGET_LABELS = frozenset((b"job", b"instance"))
_LEGACY_NAME = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*")
MEDIA_TYPES = {"application/openmetrics-text": OPENMETRICS, "text/plain": PLAIN}
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = rf';\s*({_WORD})=({_WORD}|"(?:[^"\\]|\\.)*")\s*'
_CONTENT_TYPE = re.compile(rf"\s*({_WORD}/{_WORD})\s*((?:{_PARAMETER})*);?\s*", re.ASCII)
# A sample further ahead, or further behind the newest that is stored, is dropped before its labels are looked at.
_AHEAD_MS, _BEHIND_MS = 10 * 60_000, 60 * 60_000


def format_of(content_type: str) -> Format | None:
    """The format that an answer's Content-Type names, or None where it names none that Prometheus knows."""
    matched = _CONTENT_TYPE.fullmatch(content_type)
    if matched is None:
        return None
    parameters = {(name.lower(), value) for name, value in re.findall(_PARAMETER, matched[2])}
    if len({name for name, _ in parameters}) < len(parameters):
        return None  # one parameter, two values
    return MEDIA_TYPES.get(matched[1].lower())


def stored_labels(sample: Entry, server: Server, now_ms: float) -> tuple[Label, ...]:
    """The labels of the series that a server stores a sample in, its name first, names and values unescaped. Raises Refused where the
    whole scrape fails by them."""
    given = [Label(0, NAME, sample.name), *sample.labels]
    meant = [Label(one.at, unescaped(one.name), unescaped(one.value)) for one in given]
    empty = {one.name for one in meant if not one.value}
    kept = [one for one in meant if one.name not in empty]
    if NAME in empty:
        raise Refused(0, "a metric's name", "the metric has no name")
    for one in kept:
        _check_name(one, server)
    seen: set[bytes] = set()
    unique = []
    for one in kept:
        if one.name in seen:
            replaced = server.target_labels_twice and one.name in _TARGET_LABELS
            if not replaced and not _is_dropped(sample.time_ms, now_ms):
                shown = one.name.decode(errors="backslashreplace")
                raise Refused(one.at, "each label once", f"the label {shown} appears twice")
            continue
        seen.add(one.name)
        unique.append(one)
    return tuple(unique)


def _check_name(label: Label, server: Server) -> None:
    wanted = "letters, digits, _ and :"
    if label.name == NAME and not server.utf8_names and not _LEGACY_NAME.fullmatch(label.value):
        why = "a blank before the name becomes part of it" if label.value[:1] in (b" ", b"\t") else ""
        raise Refused(label.at, wanted, why)
    if not label.name:
        raise Refused(label.at, "a label's name", "a label has no name")
    if not is_utf8(label.name) or not is_utf8(label.value):
        raise Refused(label.at, "UTF-8", "the name is not UTF-8")


def _is_dropped(time_ms: float | None, now_ms: float) -> bool:
    return time_ms is not None and not now_ms - _BEHIND_MS <= time_ms <= now_ms + _AHEAD_MS

"""The two text formats exactly as servers of Prometheus read them: one line at a time, or more where a string spans lines.

Re-expressed from Prometheus' own grammars, promlex.l and promparse.go, openmetricslex.l and openmetricsparse.go, of 2.42 and of
3.x; where the two differ, it is a field of `Server`. Bytes, not characters: so do they.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, NoReturn


@dataclass(frozen=True)
class Server:
    """What sets one version apart. `utf8_names`: names may be any UTF-8, in quotes; else letters, digits, _ and :.
    `last_comma`: OpenMetrics' labels may end in a comma. `exemplars_of`: endings of the names that can have one.
    `target_labels_twice`: a label that the server itself gives may come twice. `empty_openmetrics`: no text at all is OpenMetrics too, without # EOF. `needs_media_type`: an answer without a known
    Content-Type is refused; else it is read in the plain format."""

    name: str
    utf8_names: bool
    last_comma: bool
    exemplars_of: tuple[str, ...]
    target_labels_twice: bool
    empty_openmetrics: bool
    needs_media_type: bool


OLD = Server(
    name="2.42",
    utf8_names=False,
    last_comma=False,
    exemplars_of=("_total", "_bucket"),
    target_labels_twice=True,
    empty_openmetrics=False,
    needs_media_type=False,
)
# 3.0 to 3.10 break on a label name without a value where a metric's name belongs, {a}: they take a part of it for the metric's
# name, or crash. 3.11 refuses it, and so does this.
NEW = Server(
    name="3.x",
    utf8_names=True,
    last_comma=True,
    exemplars_of=("",),
    target_labels_twice=False,
    empty_openmetrics=True,
    needs_media_type=True,
)
SERVERS = (OLD, NEW)


class Refused(Exception):
    """A server refuses a line: at which byte, what is accepted there, and why, where that is not plain to see."""

    def __init__(self, at: int, accepted: str = "", why: str = "") -> None:
        super().__init__(why or accepted)
        self.at, self.accepted, self.why = at, accepted, why


class Unfinished(Refused):
    """A string is still open where the text ends: it can go on in the next line."""


class Kind(Enum):
    """What an entry of a text is. `UNREAD`: a NUL, at which the plain format ends without an error."""

    SAMPLE = "sample"
    TYPE = "TYPE"
    HELP = "HELP"
    UNIT = "UNIT"
    COMMENT = "comment"
    EOF = "EOF"
    UNREAD = "NUL"


class Label(NamedTuple):
    """A label as written, and at which byte."""

    at: int
    name: bytes
    value: bytes


class Entry(NamedTuple):
    """One entry. `end`: the byte after it, and after its line; `name`: the metric, as written without quotes; `text`: after HELP,
    TYPE and UNIT; `time_ms`: of a sample that has its own."""

    kind: Kind
    end: int
    name: bytes = b""
    text: bytes = b""
    labels: tuple[Label, ...] = ()
    time_ms: int | None = None


_NAME = rb"[a-zA-Z_:][a-zA-Z0-9_:]*"
_NUMBER = re.compile(
    rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|[nN][aA][nN]"
)
_QUOTED_NAME = re.compile(rb'"(?:\\[^\n\0]|[^\\"\0])*"')
_OPEN_STRING = re.compile(rb'"(?:\\\0*[^\n\0]|[^\\"])*')
_BARE_NAME = re.compile(_NAME)
_EQUAL, _LINE_END = re.compile(rb"="), re.compile(rb"\n")
_LABEL_NAME = re.compile(rb"[a-zA-Z_][a-zA-Z0-9_]*")
_LATEST_MS = 2**63 - 1
A_VALUE = "a value, such as 1, 1.5e-9, +Inf or NaN"
A_TIME = "the end of the line, or a time"


def _word(word: str) -> bytes:
    # Inside a word after #, NULs are passed over.
    return rb"\0*".join(bytes([letter]) for letter in word.encode())


@dataclass(frozen=True)
class Format:
    """What sets one of the two formats apart: its tokens, its types of metrics, and what is said of them.

    `string`, `exemplar_string`: a label's value; `blank`: between tokens; `before_string`: between = and a value; `keyword`: the
    start of metadata; `text`: what follows a metric's name there; `value`, `time`: with the blanks before them."""

    name: str
    types: frozenset[bytes]
    string: re.Pattern[bytes]
    blank: re.Pattern[bytes]
    before_string: re.Pattern[bytes]
    keyword: re.Pattern[bytes]
    metric: re.Pattern[bytes]
    text: re.Pattern[bytes]
    value: re.Pattern[bytes]
    time: re.Pattern[bytes]
    exemplar_string: re.Pattern[bytes] = field(default=re.compile(rb"(?!)"))


PLAIN = Format(
    "the plain text format",
    frozenset((b"counter", b"gauge", b"histogram", b"summary", b"untyped")),
    string=re.compile(rb'"(?:\\\0*[^\n\0]|[^\\"])*"\0*'),
    blank=re.compile(rb"[ \t]*"),
    before_string=re.compile(rb"(?:[ \t][ \t\0]*)?"),
    keyword=re.compile(rb"#[ \t]+(" + _word("HELP") + rb"|" + _word("TYPE") + rb")\0*[ \t][ \t\0]*"),
    metric=re.compile(rb"[ \t]*" + _NAME),  # blanks before it become part of the name
    text=re.compile(rb"(?!\0)[^\n]*"),
    value=re.compile(rb"[ \t]*([^{ \t\n\0]+)"),
    time=re.compile(rb"[ \t]*([0-9]+)"),
)
OPENMETRICS = Format(
    "OpenMetrics",
    frozenset(
        (b"counter", b"gauge", b"histogram", b"gaugehistogram", b"summary", b"info", b"stateset", b"unknown"),
    ),
    string=re.compile(rb'"(?:\\\0*[^\n\0]|[^\\"\n])*"\0*'),
    blank=re.compile(rb""),
    before_string=re.compile(rb""),
    keyword=re.compile(rb"# (" + rb"|".join(_word(word) for word in ("HELP", "TYPE", "UNIT")) + rb")\0* \0*"),
    metric=re.compile(_NAME),
    text=re.compile(rb" [^\n]*"),
    value=re.compile(rb" ([^ \n\0]+)"),
    time=re.compile(rb" ([^ \n\0]+)"),
    exemplar_string=re.compile(rb'"(?:\\[^\n\0]|[^\\"\n\0])*"'),
)
_EOF = re.compile(rb"# " + _word("EOF") + rb"\0*(?:\n\0*)?")
_COMMENT = re.compile(rb"#(?:[ \t]+(?!\0)[^\n]*|(?![ \t])[^\n\0]*)\n")
_WORDS: Mapping[bytes, Kind] = {kind.value.encode(): kind for kind in (Kind.HELP, Kind.TYPE, Kind.UNIT)}


def read_entry(text: bytes, form: Format, server: Server) -> Entry:
    """The first entry of `text`, which ends in a line's end. Raises Refused where the server's parser fails, Unfinished where a
    longer text might go on."""
    return _Reader(text, form, server).entry()


def unescaped(value: bytes) -> bytes:
    """A value or a name in quotes as it is meant: only \\", \\\\ and \\n are escapes, every other backslash stands for itself."""
    if b"\\" not in value:
        return value
    return re.sub(rb'\\(["\\n])', lambda escape: b"\n" if escape[1] == b"n" else escape[1], value)


def is_utf8(text: bytes) -> bool:
    """Whether these bytes are UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


class _Reader:
    """One entry, read from left to right: `at` is the next byte."""

    def __init__(self, text: bytes, form: Format, server: Server) -> None:
        self.text, self.form, self.server, self.at = text, form, server, 0

    def entry(self) -> Entry:
        """What the text begins with."""
        if self.form is PLAIN:
            start = self._blank(0)
            if self._ahead(b"\n", start):
                return Entry(Kind.COMMENT, start + 1)
            if self._ahead(b"\0", start):
                return Entry(Kind.UNREAD, start)
            self.at = start if self._ahead(b"#", start) or self._ahead(b"{", start) else 0
        if not self._ahead(b"#"):
            return self._sample()
        if (keyword := self.form.keyword.match(self.text, self.at)) is not None:
            self.at = keyword.end()
            return self._metadata(_WORDS[keyword[1].replace(b"\0", b"")])
        return self._comment()

    def _comment(self) -> Entry:
        if self.form is PLAIN:
            comment = _COMMENT.match(self.text, self.at)
            if comment is None:
                return Entry(Kind.UNREAD, self.text.index(b"\0", self.at))
            return Entry(Kind.COMMENT, comment.end())
        eof = _EOF.match(self.text)
        if eof is None:
            self._refuse("# HELP, # TYPE, # UNIT or # EOF: OpenMetrics has no other comments")
        if eof.end() < len(self.text):
            raise Refused(eof.end(), "nothing", "text after # EOF")
        return Entry(Kind.EOF, eof.end())

    def _metadata(self, kind: Kind) -> Entry:
        quoted = self._quoted_name()
        name = self._take(_BARE_NAME, f"a metric's name after # {kind.value}") if quoted is None else quoted
        start = self.at
        text = self._take(self.form.text, "a blank, and the text")
        self._take(_LINE_END, "the end of the line")
        said = b"" if not text.strip(b" \t\0") and self.form is PLAIN else text[1:]
        if kind is Kind.TYPE and said not in self.form.types:
            words = ", ".join(sorted(word.decode() for word in self.form.types))
            shown = said.decode(errors="backslashreplace")
            raise Refused(min(start + 1, self.at - 1), words, f"{shown!r} is no type of {self.form.name}")
        if kind is Kind.HELP and not is_utf8(said):
            raise Refused(start + 1, "UTF-8", "the help text is not UTF-8")
        if kind is Kind.UNIT and said and not name.endswith(b"_" + said):
            raise Refused(start + 1, "what the metric's name ends in", "the unit is not the end of the metric's name")
        return Entry(kind, self.at, name, said)

    def _sample(self) -> Entry:
        wanted = "a metric's name"
        labels: list[Label] = []
        if self.server.utf8_names and self._ahead(b"{"):
            self.at += 1
            name = self._labels(labels, None, self.form.string)
            if name is None:
                raise Refused(0, wanted, "no metric is named")
            wanted = A_VALUE
        else:
            name = self._take(self.form.metric, wanted)
            wanted = "{ and labels, or a value"
            opened = self._blank(self.at)
            if self._ahead(b"{", opened):
                self.at = opened + 1
                self._labels(labels, name, self.form.string)
                wanted = A_VALUE
        self._value(wanted)
        time_ms = self._time()
        if self.form is OPENMETRICS and self._ahead(b" # {"):
            self._exemplar(name)
        else:
            self.at = self._blank(self.at)
        self._take(_LINE_END, A_TIME if time_ms is None else "the end of the line")
        return Entry(Kind.SAMPLE, self.at, name, labels=tuple(labels), time_ms=time_ms)

    def _labels(self, labels: list[Label], name: bytes | None, string: re.Pattern[bytes]) -> bytes | None:
        """Read labels up to their }; the metric's name, where they hold it (3.x)."""
        wanted = 'label="value", or }'
        after_comma = False
        while True:
            self.at = self._blank(self.at)
            if self._ahead(b"}") and not (after_comma and self.form is OPENMETRICS and not self.server.last_comma):
                self.at += 1
                return name
            if labels and not after_comma and self.form is OPENMETRICS:
                self._refuse(", or }")
            start = self.at
            quoted = self._quoted_name(_QUOTED_NAME if string is self.form.string else string)
            key = quoted if quoted is not None else self._take(_LABEL_NAME, wanted)
            self.at = self._blank(self.at)
            if quoted is not None and (self._ahead(b",") or self._ahead(b"}")):
                if name is not None or string is self.form.exemplar_string:
                    raise Refused(start, wanted, "a second name of the metric")
                name = quoted
            else:
                self._take(_EQUAL, "=")
                self.at = self.form.before_string.match(self.text, self.at).end()  # type: ignore[union-attr]
                value = self._string(string)
                if not is_utf8(value):
                    raise Refused(start, "UTF-8", "the label's value is not UTF-8")
                labels.append(Label(start, key, value[1:-1]))
                self.at = self._blank(self.at)
            after_comma = self._ahead(b",")
            self.at += after_comma

    def _exemplar(self, name: bytes) -> None:
        if not name.endswith(tuple(ending.encode() for ending in self.server.exemplars_of)):
            endings = " or ".join(self.server.exemplars_of)
            raise Refused(self.at + 1, f"one after a name that ends in {endings}", "an exemplar")
        self.at += len(b" # {")
        self._labels([], None, self.form.exemplar_string)
        self._value(A_VALUE)
        self._time()

    def _value(self, wanted: str) -> None:
        start = self._blank(self.at)
        number = self.form.value.match(self.text, self.at)
        if number is None or not is_float(number[1]):
            why = "the number is too large" if number is not None and _NUMBER.fullmatch(number[1]) else ""
            raise Refused(start, wanted, why)
        self.at = number.end()

    def _time(self) -> int | None:
        number = self.form.time.match(self.text, self.at)
        if number is None or self._ahead(b" # {"):
            return None
        start, self.at = number.start(1), number.end()
        if self.form is PLAIN:
            digits = number[1].lstrip(b"0") or b"0"
            if len(digits) > len(str(_LATEST_MS)) or int(digits) > _LATEST_MS:
                raise Refused(start, A_TIME, "the time is too large")
            return int(digits)
        if not is_float(number[1]) or not re.search(rb"[0-9]", number[1]):
            raise Refused(start, "the end of the line, an exemplar or a time")
        return int(max(-_LATEST_MS, min(float(number[1]) * 1000, _LATEST_MS)))

    def _string(self, string: re.Pattern[bytes]) -> bytes:
        matched = string.match(self.text, self.at)
        if matched is None and self._ahead(b'"') and self.form is PLAIN:
            self._refuse_or_go_on('the end of the string, "')
        return self._take(string, "a label's value in quotes")

    def _quoted_name(self, pattern: re.Pattern[bytes] = _QUOTED_NAME) -> bytes | None:
        """A name in quotes, without them, or None where there is none."""
        if not (self.server.utf8_names and self._ahead(b'"')):
            return None
        if pattern is _QUOTED_NAME and pattern.match(self.text, self.at) is None:
            self._refuse_or_go_on('the end of the name, "')
        return self._take(pattern, 'the end of the name, "')[1:-1]

    def _refuse_or_go_on(self, wanted: str) -> NoReturn:
        """A string has no end: in the next line, perhaps."""
        if _OPEN_STRING.fullmatch(self.text, self.at):
            raise Unfinished(self.at, wanted, "a string without an end")
        self._refuse(wanted)

    def _take(self, pattern: re.Pattern[bytes], wanted: str) -> bytes:
        matched = pattern.match(self.text, self.at)
        if matched is None:
            self._refuse(wanted)
        self.at = matched.end()
        return matched[0]

    def _ahead(self, what: bytes, at: int | None = None) -> bool:
        return self.text.startswith(what, self.at if at is None else at)

    def _blank(self, at: int) -> int:
        blank = self.form.blank.match(self.text, at)
        return at if blank is None else blank.end()

    def _refuse(self, wanted: str) -> NoReturn:
        raise Refused(self._blank(self.at), wanted)


def is_float(text: bytes) -> bool:
    """Whether Prometheus reads it as a number: Go's spellings without hexadecimal and _, and not larger than a float can be."""
    if _NUMBER.fullmatch(text) is None:
        return False
    return b"n" in text.lower() or abs(float(text)) != float("inf")

"""Exposition text, in Prometheus' plain format or OpenMetrics, counted: series by metric, values by label.

Prometheus refuses a scrape in which it refuses one line. Here every such line is reported with line and column, and which versions
refuse it, and the others are counted. (prometheus_client's parsers stop at the first, and take what Prometheus does not.)
An ordinary line, which every version takes, is matched by one expression; all others are read by exposition_grammar.py and
scraping.py.
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tiercli.cardinality.exposition_grammar import (
    NEW,
    OLD,
    OPENMETRICS,
    PLAIN,
    SERVERS,
    Entry,
    Format,
    Kind,
    Label,
    Refused,
    Server,
    Unfinished,
    read_entry,
    unescaped,
)
from tiercli.cardinality.scraped_metrics import CONTRACT_ONLY, SUFFIXES, WITH_PARTS, ScrapedMetrics
from tiercli.cardinality.scraping import MEDIA_TYPES, NAME, stored_labels
from tiercli.errors import Location, Problem

# What both formats and every version take, as exporters write it: no escapes but the three, numbers far from a float's limits.
# Bytes that are not UTF-8 come as lone surrogates, and are no such text.
_TEXT = r"[^\n\0\udc80-\udcff]"
_STRING = r'"[^"\\\n\0\udc80-\udcff]*+(?:\\["\\n][^"\\\n\0\udc80-\udcff]*+)*+"'
_PAIR = rf"[a-zA-Z_][a-zA-Z0-9_]*+={_STRING}"
_PAIRS = re.compile(rf"([a-zA-Z_][a-zA-Z0-9_]*+)=({_STRING})")
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_NUMBER = r"[+-]?[0-9]{1,40}+(?:\.[0-9]{0,40}+)?+(?:[eE][+-]?[0-9]{1,2}+)?+"
_VALUE = rf"(?:{_NUMBER}|[+-]?Inf|NaN)"
_ORDINARY = {
    # name{labels} value [time]
    PLAIN: re.compile(
        rf"({_NAME})(?:\{{(?:({_PAIR}(?:, ?{_PAIR})*+),?)?\}})?[ \t]++{_VALUE}(?:[ \t]++(0|[1-9][0-9]{{0,17}}))?[ \t]*+\n?"
    ),
    # name{labels} value [time] [# {labels} value [time]]
    OPENMETRICS: re.compile(
        rf"({_NAME})(?:\{{({_PAIR}(?:,{_PAIR})*+)?\}})? {_VALUE}(?: ({_NUMBER}))?"
        rf"( # \{{(?:{_PAIR}(?:,{_PAIR})*+)?\}} {_VALUE}(?: {_NUMBER})?)?\n?"
    ),
}
# {"name",labels} value, in both formats: what the newer versions take, and the older refuse.
_PLAIN_STRING = r'"[^"\\\n\0\udc80-\udcff]++"'
_QUOTED_PAIR = rf"(?:[a-zA-Z_][a-zA-Z0-9_]*+|{_PLAIN_STRING})={_STRING}"
_QUOTED_PAIRS = re.compile(rf"([a-zA-Z_][a-zA-Z0-9_]*+|{_PLAIN_STRING})=({_STRING})")
_QUOTED = re.compile(rf"\{{({_PLAIN_STRING})(?:,({_QUOTED_PAIR}(?:,{_QUOTED_PAIR})*+))?\}} {_VALUE}\n?")
_METADATA = re.compile(rf"# (?:HELP {_NAME} {_TEXT}*+|TYPE ({_NAME}) (counter|gauge|histogram|summary))\n?")
SHOWN_PROBLEMS, SHOWN_NOTES = 20, 5


@dataclass
class Exposed:
    """What a text exposes. `series`: by metric, a histogram's parts together; `values`: series by metric of the contract, label
    and value; `types`: as the text says; `problems`: lines that the newest Prometheus refuses, and samples that no Prometheus
    keeps (the first SHOWN_PROBLEMS); `wrong`: their number; `notes`: lines that only an older one refuses (the first
    SHOWN_NOTES); `noted`: their number; `refused`: how many lines each version refuses, by its name."""

    series: Counter[str] = field(default_factory=Counter)
    values: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    types: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    wrong: int = 0
    notes: list[Problem] = field(default_factory=list)
    noted: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def report(self, problem: Problem, refusing: Sequence[Server] = ()) -> None:
        """Keep what was found: as a note where only older versions refuse it, else as a problem."""
        self.refused.update(server.name for server in refusing)
        if refusing and NEW not in refusing:
            self.noted += 1
            if len(self.notes) < SHOWN_NOTES:
                self.notes.append(problem)
            return
        self.wrong += 1
        if len(self.problems) < SHOWN_PROBLEMS:
            self.problems.append(problem)


@dataclass
class Shape:
    """The labels of all series of one metric, and the bounds of its buckets as the text has them."""

    labels: set[str] = field(default_factory=set)
    bounds: set[str] = field(default_factory=set)


def refusal(refusing: Sequence[Server], what: str) -> str:
    """Who refuses it, in words: "Prometheus 2.42 refuses this line, 3.x reads it"."""
    names = " and ".join(server.name for server in SERVERS if server in refusing)
    others = "".join(f", {server.name} reads it" for server in SERVERS if server not in refusing)
    return f"Prometheus {names} {'refuse' if len(refusing) > 1 else 'refuses'} {what}{others}"


def read_exposition(
    lines: Iterable[str],
    name: str,
    scraped: ScrapedMetrics = CONTRACT_ONLY,
    form: Format | None = None,
    shapes: dict[str, Shape] | None = None,
) -> Exposed:
    """Read exposition text line by line; `name`: the file in problems. Of `scraped` metrics, the values of catalog labels are
    counted. `form`: PLAIN or OPENMETRICS; without it, as `form_of` says. `shapes` gains that of each metric. A line ends in a
    line feed alone, or in nothing; bytes that are not UTF-8 are lone surrogates in it, as Python's surrogateescape makes them."""
    if form is None:
        lines = list(lines)
        form = form_of(lines[-2:])
    reading = _Reading(lines, name, scraped, form, shapes)
    reading.read()
    return reading.exposed


def refuse_media_type(exposed: Exposed, name: str, content_type: str) -> None:
    """Add to what a target exposes that its answer's Content-Type is none that the newer versions read."""
    refusing = [server for server in SERVERS if server.needs_media_type]
    found = f"its Content-Type is {content_type!r}" if content_type else "it has no Content-Type"
    accepted = " or ".join(MEDIA_TYPES)
    exposed.report(Problem(Location(name), f"{refusal(refusing, 'this answer')}: {found}", accepted), refusing)


def form_of(last_lines: Sequence[str]) -> Format:
    """The format of a text without a Content-Type: OpenMetrics where its very last line is # EOF, else the plain format."""
    lines = last_lines[:-1] if last_lines and not last_lines[-1] else last_lines
    return OPENMETRICS if lines and lines[-1].removesuffix("\n") == "# EOF" else PLAIN


class _Lines(Iterator[tuple[int, str]]):
    """Numbered lines. Those that were looked at can be given back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = enumerate(lines, 1)
        self._ahead: deque[tuple[int, str]] = deque()

    def __next__(self) -> tuple[int, str]:
        return self._ahead.popleft() if self._ahead else next(self._lines)

    def give_back(self, *lines: tuple[int, str]) -> None:
        """Lines that come next once more."""
        self._ahead.extendleft(reversed(lines))


class _Reading:
    """One text, being read."""

    def __init__(
        self,
        lines: Iterable[str],
        name: str,
        scraped: ScrapedMetrics,
        form: Format,
        shapes: dict[str, Shape] | None,
    ) -> None:
        self.exposed = Exposed()
        self._shapes = shapes
        self._lines, self._name, self._scraped, self._form = _Lines(lines), name, scraped, form
        self._now_ms = time.time() * 1000
        self._samples: set[str] = set()  # every series that has no times; the others with each of them
        self._timed: set[str] = set()
        # By name: its metric, and how many series have each value of its watched labels.
        self._watched: dict[str, tuple[str, dict[str, dict[str, int]]]] = {}
        self._number, self._ended = 0, form is PLAIN

    def read(self) -> None:
        """Read it all."""
        ordinary, metadata, find_pairs = _ORDINARY[self._form].fullmatch, _METADATA.fullmatch, _PAIRS.findall
        count, plain = self._count, self._form is PLAIN
        for number, line in self._lines:
            self._number = number
            if (matched := ordinary(line)) is not None:
                metric, labels, at = matched.group(1, 2, 3)
                if not plain and at is not None:
                    at = str(int(float(at) * 1000))
                if not plain and matched[4] is not None and not metric.endswith(OLD.exemplars_of):
                    pass
                elif labels is None:
                    count(metric, metric, (), at)
                    continue
                elif '=""' not in labels and "__name__" not in labels:
                    pairs = find_pairs(labels)
                    if len(pairs) == 1 or len(dict(pairs)) == len(pairs):
                        ordered = sorted(pairs)
                        if ordered != pairs or '", ' in labels:
                            labels = ",".join([f"{label}={value}" for label, value in ordered])
                        count(metric, f"{metric}{{{labels}", pairs, at)
                        continue
            elif (kind := metadata(line)) is not None:
                if kind[1] is not None:
                    self.exposed.types[kind[1]] = kind[2]
                continue
            elif (quoted := _QUOTED.fullmatch(line)) is not None and self._count_quoted(quoted):
                continue
            if not self._read_exactly(number, line):
                break
        self._end()

    def _count_quoted(self, matched: re.Match[str]) -> bool:
        """Count a sample of a metric whose name is in quotes, where enough was said of such lines. False where it is to be read
        exactly."""
        name, labels = matched[1], matched[2] or ""
        if (
            self.exposed.noted < SHOWN_NOTES
            or '=""' in labels
            or "__name__" in labels
            or re.fullmatch(_NAME, name[1:-1])
        ):
            return False
        pairs = sorted((label.strip('"'), value) for label, value in _QUOTED_PAIRS.findall(labels))
        if len(dict(pairs)) < len(pairs):
            return False
        self.exposed.noted += 1
        self.exposed.refused[OLD.name] += 1
        self._count(name[1:-1], _series(name[1:-1], pairs), pairs, None)
        return True

    def _count(self, metric: str, series: str, pairs: Sequence[tuple[str, str]], at: str | None) -> None:
        """Count a sample of a series, which is its metric and its labels in order, unless the series is known."""
        sample = series if at is None else f"{series} {at}"
        if sample in self._samples:
            same = "with the same labels" if at is None else "with the same labels and time"
            found = f"{metric} appears twice {same}: Prometheus drops one"
            self.exposed.report(Problem(Location(self._name, self._number, 1), found))
            return
        if at is not None or self._timed:
            known = series in self._timed or series in self._samples
            if at is not None:
                self._timed.add(series)
            if known:
                self._samples.add(sample)
                return
        self._samples.add(sample)
        watched = self._watched.get(metric)
        if watched is None:
            family = _family(metric, self.exposed.types, self._scraped)
            watched = self._watched[metric] = (family, {label: {} for label in self._scraped.labels.get(family, ())})
        family, values = watched
        self.exposed.series[family] += 1
        if self._shapes is not None:
            shape = self._shapes.setdefault(family, Shape())
            shape.labels.update(label for label, _ in pairs if label != "le")
            shape.bounds.update(value[1:-1] for label, value in pairs if label == "le")
        if values:
            for label, value in pairs:
                if label in values:
                    of_label = values[label]
                    of_label[value] = of_label.get(value, 0) + 1

    def _end(self) -> None:
        for family, by_label in self._watched.values():
            for label, values in by_label.items():
                if values:
                    counter = self.exposed.values[family, label]
                    for value, series in values.items():
                        counter[unescaped(value[1:-1].encode()).decode()] += series
        if not self._ended:
            refusing = [server for server in SERVERS if self._number or not server.empty_openmetrics]
            found = f"{refusal(refusing, 'this text')}: it is OpenMetrics and does not end in # EOF"
            self.exposed.report(Problem(Location(self._name, self._number), found, "# EOF as the last line"), refusing)

    def _read_exactly(self, number: int, line: str) -> bool:
        """Read an entry that begins with this line as each version reads it. False where none reads on."""
        if not line:
            following = next(self._lines, None)
            if following is None:
                self._number -= 1  # no line: it is what follows the last line's end
                return True
            self._lines.give_back(following)
        text, pulled = _bytes(line), list[tuple[int, str]]()
        read: dict[Server, Entry | Refused] = {}
        labels: dict[Server, tuple[Label, ...]] = {}
        unfinished: Unfinished | None = None
        for server in SERVERS:
            while True:
                try:
                    entry = read[server] = read_entry(text, self._form, server)
                    if entry.kind is Kind.SAMPLE:
                        labels[server] = stored_labels(entry, server, self._now_ms)
                except Unfinished as refused:
                    read[server] = unfinished = unfinished or refused
                    more = self._pull(pulled, len(text))
                    text += more
                    if more:
                        continue
                except Refused as refused:
                    # Where lines further down do not fit a string that this one began, it is this one that is wrong.
                    read[server] = unfinished if unfinished and refused.at > text.index(b"\n") else refused
                break
        taken = [(server, entry) for server, entry in reversed(read.items()) if isinstance(entry, Entry)]
        used = text.count(b"\n", 0, taken[0][1].end) - 1 if taken else 0
        self._lines.give_back(*pulled[max(used, 0) :])
        self._tell(number, text, {server: why for server, why in read.items() if isinstance(why, Refused)})
        return self._keep(number, text, taken[0][1], labels.get(taken[0][0], ())) if taken else True

    def _keep(self, number: int, text: bytes, entry: Entry, labels: Sequence[Label]) -> bool:
        if entry.kind is Kind.SAMPLE:
            pairs = sorted((one.name.decode(), _quoted(one.value.decode())) for one in labels if one.name != NAME)
            metric = next(one.value for one in labels if one.name == NAME).decode()
            series = _series(metric, pairs)
            # An empty label is as good as none to Prometheus; here it is a value that was exposed.
            empty = {one.name.decode(errors="replace") for one in entry.labels if not one.value}
            pairs += [(label, '""') for label in empty]
            self._count(metric, series, pairs, None if entry.time_ms is None else str(entry.time_ms))
        elif entry.kind is Kind.TYPE:
            self.exposed.types[unescaped(entry.name).decode(errors="replace")] = entry.text.decode()
        elif entry.kind is Kind.EOF:
            self._ended = True
            if (after := self._follows()) is not None:
                found = f"{refusal(SERVERS, 'this line')}: text after # EOF"
                self.exposed.report(Problem(Location(self._name, after, 1), found, "nothing"), SERVERS)
        elif entry.kind is Kind.UNREAD:
            if text[entry.end :].strip(b"\0 \t\n") or any(line.strip("\0 \t\n") for _, line in self._lines):
                found = "a NUL: Prometheus reads nothing from here on, and tells nobody"
                self.exposed.report(Problem(_place(self._name, number, text, entry.end), found))
            return False
        return True

    def _tell(self, number: int, text: bytes, refused: Mapping[Server, Refused]) -> None:
        if not refused:
            return
        why = refused.get(NEW) or next(iter(refused.values()))
        at, accepted, reason = why.at, why.accepted, why.why
        line = text[: text.index(b"\n") + 1]
        if line.endswith(b"\r\n") and _reads(line[:-2] + b"\n", self._form):
            at, accepted, reason = len(line) - 2, "lines that end in \\n alone", "it ends in \\r\\n"
        found = reason or _found(text, at)
        problem = Problem(
            _place(self._name, number, text, at), f"{refusal(list(refused), 'this line')}: {found}", accepted
        )
        self.exposed.report(problem, [server for server in SERVERS if server in refused])

    def _pull(self, pulled: list[tuple[int, str]], least: int) -> bytes:
        """The next lines as far as one with a quotation mark, `least` characters or more (so that a long string is not read again for
        each of its lines), or nothing where none has one."""
        more: list[tuple[int, str]] = []
        closed, size = False, 0
        for numbered in self._lines:
            more.append(numbered)
            closed, size = closed or '"' in numbered[1], size + len(numbered[1])
            if closed and size >= least:
                break
        if not closed:
            self._lines.give_back(*more)
            return b""
        pulled += more
        return b"".join(_bytes(line) for _, line in more)

    def _follows(self) -> int | None:
        """The number of the next line, if anything follows: NULs after the last line's end are nothing."""
        following = next(self._lines, None)
        if following is None:
            return None
        if not following[1].strip("\0"):
            last = next(self._lines, None)
            if last is None:
                return None
            self._lines.give_back(last)
        self._lines.give_back(following)
        return following[0]


def _family(metric: str, types: dict[str, str], scraped: ScrapedMetrics) -> str:
    """The metric that a sample belongs to: of a histogram or summary without the suffix, of an OpenMetrics counter with _total."""
    known = scraped.family(metric)
    if known == metric:
        for suffix in SUFFIXES:
            base = metric.removesuffix(suffix)
            if base != metric and types.get(base) in WITH_PARTS:
                return base
    return known


def _reads(line: bytes, form: Format) -> bool:
    try:
        read_entry(line, form, NEW)
    except Refused:
        return False
    return True


def _place(name: str, number: int, text: bytes, at: int) -> Location:
    before = text[:at]
    column = len(before[before.rfind(b"\n") + 1 :].decode(errors="surrogateescape")) + 1
    return Location(name, number + before.count(b"\n"), column)


def _found(text: bytes, at: int) -> str:
    rest = text[at:].split(b"\n", 1)[0].decode(errors="replace")[:20]
    return f"found {rest!r}" if rest else "it ends too early"


def _series(metric: str, pairs: Sequence[tuple[str, str]]) -> str:
    name = metric if re.fullmatch(_NAME, metric) else f"{{{_quoted(metric)}"
    return f"{name}{{{','.join([f'{label}={value}' for label, value in pairs])}" if pairs else name


def _bytes(line: str) -> bytes:
    return (line if line.endswith("\n") else line + "\n").encode(errors="surrogateescape")


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'

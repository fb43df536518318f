"""Exposition texts as exporters get them wrong: real scrapes cut short, and changed by a character, by a token or by a line.

Deterministic: the same number makes the same cases.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.cardinality.real_scrapes import OPENMETRICS, PLAIN, Case

SCRAPES = sorted((Path(__file__).parents[1] / "sources" / "scrapes").glob("*.txt"))
NUMBERS = (
    "1", "1.", ".5", "1.5e-9", "1E+5", "+1", "-0", "1e", "1e+", ".", "+", "-", "1e400", "-1e400", "1e-400",
    "1.7976931348623159e308", "1.7976931348623157e308", "0x1p4", "0x10", "0X1P-2", "1_000", "0b1", "0o7", "1,5", "Inf",
    "+Inf", "-inf", "INF", "Infinity", "+infinity", "infinit", "infi", "NaN", "nan", "NAN", "+NaN", "-nan", "null",
    "true", "one", "1.5.2", "1f", "\u221e", "\u0661", "00012",
    "1000000000000000000000000000000000000000000000000000000000000000000",
)  # fmt: skip
TIMES = (
    "0", "1000", "2000", "-1000", "+1000", "1.5", "1e3", "1700000000000", "9223372036854775807", "9223372036854775808",
    "99999999999999999999", "0x10", "NaN", "Inf", "-Inf", "1_0", "1668808476.2944589", "1e400", "#", "7#",
)  # fmt: skip
TYPES = (
    "counter", "gauge", "histogram", "summary", "untyped", "unknown", "info", "stateset", "gaugehistogram", "Counter",
    "COUNTER", "enum", "counter\xa0x", "gau\0ge", "gauge\tx",
)  # fmt: skip
LABELS = (
    'x="1"', 'x=""', 'x="",x="1"', 'x="1",x="2"', 'x="1",x="1"', 'x="1",x=""', 'job="1",job="2"', 'instance="",instance="1"',
    'exported_job="1",job="1"', '__name__="b"', '__name__=""', "", ",", 'x="1",', 'x="1",,', ',x="1"', 'x="1" y="2"', 'x="1"y="2"',
    'x="1", y="2"', ' x = "1" ', 'x= "1"', 'x\t=\t"1"', "x='1'", "x=1", 'x"1"', "x", "x=", 'x=="1"', '9x="1"', 'x:y="1"', 'x-y="1"',
    'x.y="1"', '"x.y"="1"', '"x"="1"', '"x"="1","x"="2"', '"x"="1",x="2"', '""="1"', '""=""', '"\\xff"="1"', '"x\\"y"="1"',
    'x="\\d"', 'x="\\""', 'x="\\\\"', 'x="\\n"', 'x="\\', 'x="a\nb"', '"a\nb"="1"', 'x="\n', 'x="a\\\nb"', 'x="a\0b"', 'x="a"\0',
    'x=\0"a"', 'x= \0"a"', '"a\0b"="1"', 'x="a}b{c,d=#"', 'é="1"', 'x="é"', 'x="\u2028"', 'x="\x85"', '"m"', '"m",x="1"',
    'x="1","m"', '"m" x="1"', '"m","n"', 'x="1"}{y="1"', '__name__="b",x="1"', '"__name__"="b"', 'le="1"', 'quantile="0.5"',
)  # fmt: skip
NAMES = (
    "a", "a:b", ":a", "_", "9a", "a-b", "a.b", "é", "a é", "A9_:", " a", "\ta", "\n a", "a ", "a\t", "{a", '"a"', '"a.b"', "\0a", "a\0",
    "#a", "a#", "\ufeffa", "\xa0a", "",
)  # fmt: skip
BRACED = (
    '{"a"}', '{"a.b"}', '{"a.b",}', '{ "a.b" }', '{"a.b",x="1"}', '{x="1","a.b"}', '{"a.b" x="1"}', '{"a.b","c"}', '{""}', "{}",
    '{x="1"}', '{"a\nb"}', '{"a\\"b"}', '{"a\\nb"}', '{"a', '{"a"', '{"é"}', '{"\\xff"}', 'a{"b"}', 'a{"b",x="1"}', '"a"', '"a"{x="1"}',
    ' {"a"}', '{"a"}{x="1"}', '{"a",,x="1"}', '{,"a"}', '{"a","x"="1"}', '{"__name__"="a"}', '{"a",__name__="b"}', '{"a\0"}',
)  # fmt: skip
LINES = (
    "", " ", "\t", "\r", "# x", "#x", "#", "# ", "#\t", "##", " # x", "#  HELP a b", "#\tHELP a b", "#HELP a b", "# HELP", "# HELP ",
    "# HELP a", "# HELP a ", "# HELP a  b", "# HELP\ta b", "# HELP a\tb", "# HELP a-b c", "# HELP aé c", "# HELP 9a b", "# HELP a.b c",
    '# HELP "a.b" c', '# HELP "a c', '# HELP "a\nb" c', "# HELP a \\n\\x", "# HELP a b\r", "# HELP a b\0c", "# HELP a\0b", "# HELP\0 a b",
    "# HELP a \0", "# help a b", "# HELPa b", "# HELP {a b", "# TYPE", "# TYPE ", "# TYPE a", "# TYPE a ", "# TYPE a gauge ", "# TYPE a  gauge",
    "# TYPE a\tgauge", "#  TYPE a gauge", "# TYPE  a gauge", "# TYPE a{gauge", '# TYPE "a.b" gauge', '# TYPE "a.b"gauge', "# TYPE a.b gauge",
    "# TYPE a gauge\r", " # TYPE a gauge", "# T\0YPE a gauge", "# \0TYPE a gauge", "# UNIT", "# UNIT a", "# UNIT a ", "# UNIT a_s s",
    "# UNIT a_s _s", "# UNIT as s", "# UNIT s s", "# UNIT _s s", '# UNIT "a_s" s', "# UNIT a_s s ", "# EOF", "# EOF ", "# EOFx", "#EOF",
    "# E\0OF", "# EOF\0", "# x\0y", "#x\0y", "# \0", "\0", "a 1\0", "a\0 1", "a 1 \0", "a", "a ", "{", "}", "<html>", "a 1 2 3", "a 1 # x",
    "a+1", "a1", "a 1{", "a 1 {", 'a{x="1"}1', 'a{x="1"}  1', "a\t1", "a  1", "a 1 ", "a 1\t2", "a 1  2", "a 1 2 ", "a 1 2\r", "a 1\r",
    '# HELP "" b', '# HELP "a"', '# HELP "a" ', '# HELP "a"\0 b', '# TYPE "" gauge', '# TYPE "a\\"b" gauge', '# UNIT "" s', "# TYPE a gauge\0",
    "# HELP a \0b", "#\0", "a 1 " + "0" * 25 + "1", "a 1 " + "9" * 5000, "a " + "9" * 400, "a " + "0" * 400 + ".1", "a " + "1" * 20 + "e-5",
    'a{x="1"\0,y="2"} 1', "a{\0} 1", '{"a"}1', '{"a"} 1 2', '{"a"}\t1', '{ "a" , "x.y" = "1" , } 1', '{"a", x="1"} 1', 'a{"x" ="1"} 1',
    'a{ "x"= "1"} 1', '{"a"\0} 1', '{"a","__name__"=""} 1', 'a{"x\\\\y"="1","x\\y"="2"} 1', 'a{"x\\ny"="1","x\ny"="2"} 1', 'a{x="1"} 1\tb 2',
    "a 1;b 2", "a 1\vb 2", "a 1\x85b 2", "a 1\u2028b 2", "a = 1", "a: 1",
)  # fmt: skip
TOKENS = (
    "a", "b_total", "c_bucket", "x", "{", "{", "}", "}", ",", ",", "=", "=", '"1"', '""', '"x"', '"a.b"', '"\\""', '"', "\\", " ", " ", " ", "\t",
    "1", "2.5", "1000", "NaN", "#", "# ", " # {", "HELP ", "TYPE ", "UNIT ", "EOF", "gauge", "counter", "\n", "\r", "\0", "é", ':',
)  # fmt: skip
EXEMPLARS = (
    " # {} 1", ' # {x="1"} 1', ' # {x="1"} 1 1668808476.29', ' # {x="1",} 1', ' # {,} 1', ' # {x="1",x="2"} 1', ' # {x="1"}', ' # {x="1"} one',
    ' # {x="1"} 1 NaN', ' # {x="1"} 1 2 3', ' #{x="1"} 1', ' # x="1" 1', ' # {x="1" y="2"} 1', ' # {"x.y"="1"} 1', ' # {"x"} 1', ' # {x} 1',
    '  # {x="1"} 1', ' # {x="1"}  1', ' # {x="1"} 1 ', ' # {x="\xe9"} 1', ' # {x="a\0"} 1', ' # {x="a\nb"} 1', ' # {"a\nb"="1"} 1', " # {", " #", " # ",
)  # fmt: skip
CHARACTERS = ' \t\r\n\0{}=,"\\#:_aZ09.+-eEpPxX/;é\u2028\x85'
BYTES = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xe2\x82", b"\xf5")

# What Prometheus 3 takes for a metric's name before 3.11, if it does not crash: see `NEW` in exposition_grammar.py.
_NAME_WITHOUT_VALUE = re.compile(rb"[{,][ \t]*[a-zA-Z_][a-zA-Z0-9_]*[ \t]*[,}]")


def crashes_prometheus(text: bytes) -> bool:
    """Whether a Prometheus of 3.0 to 3.10 may crash by it."""
    return b"{" in re.sub(rb"[a-zA-Z0-9_:][ \t]*\{", b"", text) and _NAME_WITHOUT_VALUE.search(text) is not None


def single_cases() -> Iterator[Case]:
    """Each token, line and mistake that is named here, alone in an ordinary text, in both formats."""
    texts = [f"a {number}" for number in NUMBERS]
    texts += [f"a 1 {at}" for at in TIMES]
    texts += [f"# TYPE a {kind}" for kind in TYPES]
    texts += [f"b_total{{{labels}}} 1" for labels in LABELS]
    texts += [
        f'b{{x="1",x="2"}} 1 {int(at)}' for at in (time.time(), time.time() * 1000)
    ]  # dropped as too old; refused
    texts += [f"{name} 1" for name in NAMES]
    texts += [f"{braced} 1" for braced in BRACED]
    texts += list(LINES)
    texts += [f"b_{ending} 1{exemplar}" for exemplar in EXEMPLARS for ending in ("total", "bucket", "sum")]
    texts += ['b_bucket{le="1"} 1 5 # {x="1"} 1']
    texts += ["a 1\na 1", "a 1\na 2", "a 1 1000\na 2 2000", "a 1 2000\na 2 1000", 'a{x="1"} 1\na{x="1",} 2']
    encoded = [text.encode() for text in texts]
    encoded += [b'b{x="' + bad + b'"} 1' for bad in BYTES] + [b"# HELP a " + bad for bad in BYTES]
    encoded += (
        [b"# x " + bad for bad in BYTES]
        + [b"a" + bad + b" 1" for bad in BYTES]
        + [b'{"a' + bad + b'"} 1' for bad in BYTES]
    )
    encoded += [b'b{"' + bad + b'"="1"} 1' for bad in BYTES] + [b"a 1 " + bad for bad in BYTES]
    for text in encoded:
        yield Case(b"before 1\n" + text + b"\nafter 1\n", PLAIN)
        yield Case(b"before 1\n" + text + b"\nafter 1\n# EOF\n", OPENMETRICS)


def whole_cases() -> Iterator[Case]:
    """Mistakes of a whole answer: how it ends, and of which type it says to be."""
    for text in (
        "",
        "\n",
        "a 1",
        "a 1\n",
        "# EOF",
        "# EOF\n",
        "# EOF\n\n",
        "# EOF\na 1\n",
        "a 1\n# EOF",
        "a 1\n# EOF\n\0",
        "a 1\n# EOF\0\n",
        "\0a",
    ):
        for kind in (PLAIN, OPENMETRICS):
            yield Case(text.encode(), kind)
    for kind in (
        None, "", "text/plain", "TEXT/PLAIN", "text/html", "text", "text/plain; charset", "text/plain;", "application/json",
        "application/openmetrics-text", "Application/OpenMetrics-Text; version=0.0.1", 'text/plain; version="0.0.4"', " text/plain",
        "text/plain; a=1; a=2", "text/plain charset=utf-8",
    ):  # fmt: skip
        yield Case(b"a 1\n", kind)
        yield Case(b"", kind)


def mutated_cases(number: int, seed: int) -> Iterator[Case]:
    """`number` real scrapes, each cut to a few lines and changed once or twice."""
    noise = random.Random(seed)
    blocks = [block for path in SCRAPES for block in _blocks(path.read_text(encoding="utf-8"))]
    for _ in range(number):
        lines = noise.choice(blocks)[: noise.randint(3, 7)]
        openmetrics = noise.random() < 0.5
        for _ in range(noise.choice((1, 1, 1, 2))):
            noise.choice(CHANGES)(noise, lines)
        text = "\n".join([*lines, "# EOF", ""] if openmetrics else [*lines, ""]).encode()
        if noise.random() < 0.1:
            at = noise.randrange(len(text))
            text = text[:at] + noise.choice(BYTES) + text[at:]
        yield Case(text, OPENMETRICS if openmetrics else PLAIN)


def _blocks(text: str) -> Iterator[list[str]]:
    """Metrics of a scrape, each with its comments."""
    block: list[str] = []
    for line in text.splitlines():
        if line.startswith("# HELP") and block:
            yield block
            block = []
        block.append(line)
    yield block


def _change_character(noise: random.Random, lines: list[str]) -> None:
    number = noise.randrange(len(lines))
    line = lines[number]
    at = noise.randrange(len(line) + 1)
    new = noise.choice((noise.choice(CHARACTERS), noise.choice(CHARACTERS), "", line[at : at + 1] * 2))
    lines[number] = line[:at] + new + line[at + noise.choice((0, 1)) :]


def _change_label(noise: random.Random, lines: list[str]) -> None:
    _replace(noise, lines, r'(?<=[{,])\w+="[^"]*"', noise.choice(LABELS))


def _change_value(noise: random.Random, lines: list[str]) -> None:
    _replace(noise, lines, r"(?<=[} ])[-+0-9.e]+$", noise.choice(NUMBERS))


def _change_name(noise: random.Random, lines: list[str]) -> None:
    _replace(noise, lines, r"^[a-zA-Z_:]\w*(?=[{ ])", noise.choice((*NAMES, *BRACED)))


def _change_type(noise: random.Random, lines: list[str]) -> None:
    _replace(noise, lines, r"(?<=^# TYPE )(.*)$", f"a {noise.choice(TYPES)}")


def _change_braces(noise: random.Random, lines: list[str]) -> None:
    _replace(noise, lines, r"\{.*\}", noise.choice(("", "{}", "{ }", "{{", "}", "(x)", "{,}")))


def _append(noise: random.Random, lines: list[str]) -> None:
    lines[noise.randrange(len(lines))] += noise.choice(
        (*EXEMPLARS, *(f" {at}" for at in TIMES), " ", "\r", "\t", "\\", '"', "\n")
    )


def _add_line(noise: random.Random, lines: list[str]) -> None:
    lines.insert(noise.randrange(len(lines) + 1), noise.choice(LINES))


def _add_tokens(noise: random.Random, lines: list[str]) -> None:
    start = noise.choice(("", "a{", 'a{x="1"', '{"a"', "{", "# ", "# TYPE a", 'a{x="1"} ', "c_bucket 1 # {"))
    lines.insert(noise.randrange(len(lines) + 1), start + "".join(noise.choices(TOKENS, k=noise.randint(1, 5))))


def _drop_line(noise: random.Random, lines: list[str]) -> None:
    del lines[noise.randrange(len(lines))]
    lines.append("a 1")


def _repeat_line(noise: random.Random, lines: list[str]) -> None:
    lines.append(noise.choice(lines) + noise.choice(("", " 1000", "0")))


def _join_lines(noise: random.Random, lines: list[str]) -> None:
    at = noise.randrange(len(lines))
    lines[at : at + 2] = [noise.choice(("", " ", "\r", ",")).join(lines[at : at + 2])]


def _use_blanks(noise: random.Random, lines: list[str]) -> None:
    _replace(
        noise,
        lines,
        noise.choice((r"[{]", r"[}]", r",", r"=", r"(?<=\w) ", r"^")),
        noise.choice((" {}", "{} ", "\t{}", "  {}")),
    )


def _replace(noise: random.Random, lines: list[str], pattern: str, new: str) -> None:
    """Put something in one place where the pattern matches, if there is one; {} in it is what was there."""
    places = [(number, found) for number, line in enumerate(lines) for found in re.finditer(pattern, line)]
    if places:
        number, found = noise.choice(places)
        line = lines[number]
        lines[number] = line[: found.start()] + new.replace("{}", found[0] or "") + line[found.end() :]


CHANGES: tuple[Callable[[random.Random, list[str]], None], ...] = (
    _change_character, _change_character, _change_label, _change_value, _change_name, _change_type, _change_braces, _append,
    _add_line, _add_tokens, _add_tokens, _drop_line, _repeat_line, _join_lines, _use_blanks,
)  # fmt: skip

"""YAML in: values with places, and a hostile file costs an error and not the machine."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tiercli.catalog.document import MAX_BYTES, parse_document, read_document, read_text
from tiercli.catalog.tree import MAX_DEPTH, MAX_NODES
from tiercli.errors import InvalidInput, Location


def problems_of(text: str) -> list[str]:
    """What is wrong with `text`, fatal or not."""
    try:
        return [str(problem) for problem in parse_document(text, "f").problems]
    except InvalidInput as error:
        return [str(problem) for problem in error.problems]


def bomb(levels: int, width: int) -> str:
    lines = ["x0: &x0 [boom]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


HOSTILE = {
    "an empty file": ("", "f:1:1: an empty document (accepted: a mapping of keys to values)"),
    "only a comment": ("# nothing", "f:1:1: an empty document (accepted: a mapping of keys to values)"),
    "a list at the top": ("- a\n- b", "f:1:1: a list at the top (accepted: a mapping of keys to values)"),
    "text at the top": ("hello", "f:1:1: text at the top (accepted: a mapping of keys to values)"),
    "a number at the top": ("5", "f:1:1: a number at the top (accepted: a mapping of keys to values)"),
    "a tab as indentation": (
        "a:\n\tb: 1\n",
        "f:2:1: a tab (accepted: spaces: YAML does not allow tabs as indentation)",
    ),
    "a NUL": ("a: b\nc: x\0y\n", "f:2:5: the control character U+0000 (accepted: printable text)"),
    "a bell": ("a: x\x07", "f:1:5: the control character U+0007 (accepted: printable text)"),
    "a bracket that is not closed": (
        "a: [1, 2\nb: 3\n",
        "f:2:2: while parsing a flow sequence: did not find expected ',' or ']' (accepted: YAML)",
    ),
    "a colon too many": ("a: b: c", "f:1:5: mapping values are not allowed in this context (accepted: YAML)"),
    "an alias of nothing": ("a: *x", "f:1:4: *x names no anchor that is complete before it"),
    "an alias of what it is in": ("a: &a [*a]", "f:1:8: *a names no anchor that is complete before it"),
    "a merge key": ("a: {<<: {x: 1}}", "f:1:5: merge keys (<<) are not supported (accepted: every key written out)"),
    "a Python object": (
        "a: !!python/object/apply:os.system [x]",
        "f:1:4: the tag tag:yaml.org,2002:python/object/apply:os.system is not supported (accepted: values without tags)",
    ),
    "a number as a key": ("2024: x", 'f:1:1: the key 2024 is a number (accepted: text: "2024" in quotes)'),
    "true as a key": ("true: x", 'f:1:1: the key true is true or false (accepted: text: "true" in quotes)'),
    "a list as a key": ("? [a]\n: 1", "f:1:3: a list or mapping as a key (accepted: text as a key)"),
    "an alias as a key": ("a: &x y\n*x : 1", "f:2:1: an alias as a key (accepted: text as a key)"),
    "two documents": ("a: 1\n---\nb: 1", "f:2:1: a second document (accepted: one document a file)"),
    "nested beyond reason": ("a: " + "[" * 500, f"f:1:43: nested too deeply (accepted: at most {MAX_DEPTH} levels)"),
    "half a surrogate": (
        'a: "\\ud800"',
        "f:1:7: while parsing a quoted scalar: found invalid Unicode character escape code (accepted: YAML)",
    ),
    "aliases of aliases": (
        bomb(20, 10),
        f"f:7:25: aliases that expand to too much (accepted: at most {MAX_NODES} values in all)",
    ),
    "a chain of aliases, each one deeper": (
        bomb(1000, 1),
        f"f:40:12: aliases nested too deeply (accepted: at most {MAX_DEPTH} levels)",
    ),
    "one long text a thousand times": (
        f'a: &a "{"x" * 100_000}"\nb: [{", ".join(["*a"] * 1000)}]',
        f"f:2:2557: aliases that expand to too much (accepted: at most {MAX_NODES} values in all)",
    ),
}


@pytest.mark.parametrize(("text", "expected"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_wrong_is_named_with_its_place(text: str, expected: str) -> None:
    assert problems_of(text) == [expected]


def test_reading_goes_on_past_duplicate_keys_and_the_first_value_stays() -> None:
    document = parse_document("a: {x: 1}\nb: 2\na: {x: 3, y: 4}\nb: 5\n", "f")
    assert document.value == {"a": {"x": 1}, "b": 2}
    assert [str(problem) for problem in document.problems] == [
        "f:3:1: duplicate key 'a', first on line 1 (accepted: each key once)",
        "f:4:1: duplicate key 'b', first on line 2 (accepted: each key once)",
    ]
    assert document.locate(("a", "x")) == Location("f", 1, 8)


SCALARS = {
    "a date stays text": ("2026-11-01", "2026-11-01"),
    "a time stays text": ("12:30:45", "12:30:45"),
    "yes stays text": ("yes", "yes"),
    "off stays text": ("off", "off"),
    "a leading zero is no octal": ("010", 10),
    "0o17 stays text": ("0o17", "0o17"),
    "0x1f stays text": ("0x1f", "0x1f"),
    "an underscore is no digit group": ("1_000", "1_000"),
    "true is true": ("true", True),
    "a tilde is nothing": ("~", None),
    "an exponent is a number": ("1e3", 1000.0),
    "a minus is a number": ("-4", -4),
    "infinity stays text": (".inf", ".inf"),
    "too large for a number stays text": ("1e400", "1e400"),
    "quotes make text": ('"5"', "5"),
    "the tag str makes text": ("!!str 5", "5"),
    "emoji and templates are text": ('"😀 {{ $1 }} \\\\ \'"', "😀 {{ $1 }} \\ '"),
}


@pytest.mark.parametrize(("text", "expected"), SCALARS.values(), ids=SCALARS)
def test_scalars_follow_the_core_schema(text: str, expected: object) -> None:
    value = parse_document(f"a: {text}", "f").value["a"]
    assert value == expected
    assert type(value) is type(expected)


def test_every_key_and_value_has_a_place_and_what_is_not_there_has_the_nearest() -> None:
    document = parse_document("a:\n  - {b: 1}\n  - c\nd: &x [1]\ne: *x\n", "f")
    assert document.locate(("a", 0, "b")) == Location("f", 2, 9)
    assert document.locate(("a", 0, "b"), key=True) == Location("f", 2, 6)
    assert document.locate(("a", 1)) == Location("f", 3, 5)
    assert document.locate(("a", 0, "nothing", "here")) == Location("f", 2, 5)
    assert document.locate(("e", 0)) == Location("f", 5, 4)
    assert document.locate(()) == Location("f", 1, 1)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    document = read_document(path)
    assert document.value == {"a": 1, "b": 2}
    assert document.locate(("b",)).line == 2


UNREADABLE = {
    "a file that is not there": (lambda folder: folder / "missing.yaml", "no such file or directory"),
    "a folder": (lambda folder: folder, "is a directory"),
    "a name too long for any file": (lambda folder: folder / ("x" * 5000), "file name too long"),
}


@pytest.mark.parametrize(("make", "expected"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_bad_input(make: object, expected: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_text(make(tmp_path))  # type: ignore[operator]
    assert [problem.found for problem in caught.value.problems] == [expected]


def test_bytes_that_are_not_utf8_are_named_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "latin1.yaml"
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(InvalidInput) as caught:
        read_document(path)
    assert [str(problem) for problem in caught.value.problems] == [
        f"{path}:2:7: byte 0xe9 is not UTF-8 (accepted: UTF-8)"
    ]


def test_fifty_megabytes_are_refused_before_they_are_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.yaml"
    with path.open("w") as stream:
        stream.write(bomb(100_000, 40))
        stream.truncate(50 * 1024 * 1024)
    with pytest.raises(InvalidInput, match="too large"):
        read_document(path)

    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            buffer[:] = b"a" * len(buffer)
            return len(buffer)

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    with pytest.raises(InvalidInput) as caught:
        read_text(Path("-"))
    assert str(caught.value.problems[0]) == f"-: more than {MAX_BYTES} bytes (accepted: at most 16 MiB)"

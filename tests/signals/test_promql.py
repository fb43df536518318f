"""Names from a catalog come out of an expression as they went in."""

from __future__ import annotations

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiercli.signals.promql import any_of, matcher, quote, selector

NAMES = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=30)


@given(NAMES)
def test_a_quoted_name_reads_back_as_itself(name: str) -> None:
    (read,) = promql_parser.parse(selector("up", {"job": name})).matchers.matchers
    assert (read.name, read.value) == ("job", name)


@given(NAMES, NAMES)
def test_a_quoted_name_cannot_end_its_string(name: str, other: str) -> None:
    expr = f"up{{job={quote(name)}}} == on (job) up{{job={quote(other)}}}"
    parsed = promql_parser.parse(expr)
    assert parsed.lhs.matchers.matchers[0].value == name
    assert parsed.rhs.matchers.matchers[0].value == other


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1), min_size=1, max_size=4))
def test_any_of_matches_the_names_and_nothing_else(names: list[str]) -> None:
    import re

    pattern = re.compile(f"^(?:{any_of(names)})$")
    assert all(pattern.fullmatch(name) for name in names)
    assert pattern.fullmatch("".join(names) + "x") is None


@pytest.mark.parametrize(
    ("label", "operator"),
    [
        pytest.param("a b", "=", id="a label name cannot hold a space"),
        pytest.param('a"', "=", id="a label name cannot hold a quote"),
        pytest.param("job", "==", id="a matcher has one of four operators"),
    ],
)
def test_refuses_what_is_no_matcher(label: str, operator: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        matcher(label, operator, "x")

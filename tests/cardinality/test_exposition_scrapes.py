"""Exposition texts, right and wrong ones: a line is refused exactly where the scrape of a real Prometheus fails."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cardinality.exposition_mutations import crashes_prometheus, mutated_cases, single_cases, whole_cases
from tests.cardinality.real_scrapes import PLAIN, Case, errors_of_scrapes
from tiercli.cardinality.exposition import Exposed, read_exposition, refuse_media_type
from tiercli.cardinality.exposition_grammar import NEW, OLD
from tiercli.cardinality.exposition_grammar import PLAIN as PLAIN_FORMAT
from tiercli.cardinality.scraping import format_of
from tiercli.sandbox.stack.binaries import StackBinaries

pytestmark = pytest.mark.stack


def judged(case: Case) -> Exposed:
    """What tiercli says of it."""
    form = format_of(case.content_type or "")
    exposed = read_exposition(case.text.decode(errors="surrogateescape").split("\n"), "x", form=form or PLAIN_FORMAT)
    if form is None and case.text:
        refuse_media_type(exposed, "x", case.content_type or "")
    return exposed


def differences(stack: StackBinaries, cases: Sequence[Case], folder: Path) -> list[str]:
    """Every text that one takes and the other does not."""
    version = re.match(r"(2\.42)\.|[3-9]\.", stack.prometheus.version)
    if version is None:
        pytest.skip(f"Prometheus {stack.prometheus.version} is between the two whose grammars are known")
    server = OLD if version[1] else NEW
    if server is NEW:
        cases = [case for case in cases if not crashes_prometheus(case.text)]
    errors = errors_of_scrapes(stack.prometheus.path, cases, folder)
    assert 0.3 < sum(1 for error in errors if error) / len(errors) < 0.8, (
        "mutations that are all right, or all wrong, prove little"
    )
    found = []
    for case, error in zip(cases, errors, strict=True):
        exposed = judged(case)
        if bool(error) != bool(exposed.refused[server.name]):
            said = "; ".join(str(problem) for problem in exposed.problems + exposed.notes) or "nothing"
            found.append(
                f"{case.text!r} as {case.content_type}: Prometheus says {error or 'nothing'}, tiercli says {said}"
            )
    return found


def test_some_hundred_texts_are_refused_where_prometheus_refuses_them(stack: StackBinaries, tmp_path: Path) -> None:
    cases = [*random.Random(7).sample([*single_cases()], 250), *whole_cases(), *mutated_cases(100, seed=7)]
    assert differences(stack, cases, tmp_path / "prometheus") == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_thousands_of_texts_are_refused_where_prometheus_refuses_them(
    stack: StackBinaries, tmp_path: Path, seed: int
) -> None:
    cases = [*single_cases(), *whole_cases(), *mutated_cases(2500, seed)] if seed == 1 else [*mutated_cases(2500, seed)]
    assert differences(stack, cases, tmp_path / "prometheus") == []


def test_the_same_seed_makes_the_same_texts() -> None:
    assert [*mutated_cases(50, seed=3)] == [*mutated_cases(50, seed=3)]
    assert {case.content_type for case in mutated_cases(50, seed=3)} > {PLAIN}

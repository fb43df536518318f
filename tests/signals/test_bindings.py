"""Source bindings: what the native one covers, and what an unknown one is told."""

from __future__ import annotations

import re

import pytest

from tiercli.errors import InvalidInput, Location
from tiercli.signals.bindings import Binding, binding_names, bound_expressions, load_binding
from tiercli.signals.expressions import expression_labels
from tiercli.signals.recorded import RECORDED, RECORDED_BY_NAME
from tiercli.signals.timing import Timing

PLACE = Location("catalog.yaml", 4, 12)


def test_native_yields_every_primitive_series_and_no_other() -> None:
    binding = load_binding("native", PLACE)
    of_gateway = {series.name for series in RECORDED if series.bound_to == "gateway"}
    # Of the servers behind it a gateway knows their queues.
    assert set(binding.signals) == (of_gateway - set(binding.unavailable)) | {"tier:server:queue_depth:sum"}
    assert set(binding.unavailable) == {"tier:gateway:unnamed_attempts:increase5m"}  # it knows offers, not deployments


@pytest.mark.parametrize("record", sorted(load_binding("native", PLACE).signals))
def test_native_yields_the_labels_that_the_series_has(record: str) -> None:
    expressions = bound_expressions(load_binding("native", PLACE), Timing(), "gateway")
    assert expression_labels(expressions[record]) == set(RECORDED_BY_NAME[record].labels)


def test_every_raw_series_is_of_the_gateway_job_only() -> None:
    for expr in bound_expressions(load_binding("native", PLACE), Timing(), 'a "job"').values():
        selectors = re.findall(r"\b(?:ai_gateway_\w+|up)\b", expr)
        assert selectors
        assert len(re.findall(r'\{job="a \\"job\\""[,}]', expr)) == len(selectors)


def test_windows_pass_through_the_timing() -> None:
    compressed = bound_expressions(load_binding("native", PLACE), Timing(factor=30, scrape_interval_s=10), "gateway")
    assert "[10s]" in compressed["tier:provider:requests:rate5m"]
    assert "[2s]" in compressed["tier:provider:requests:increase1m"]


def test_an_unknown_binding_is_told_at_its_place_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput) as raised:
        load_binding("nativ", PLACE)
    (problem,) = raised.value.problems
    assert problem.location == PLACE
    assert problem.suggestion == "native"
    assert "native" in binding_names()


def test_an_undefined_name_in_a_binding_is_told_at_its_line() -> None:
    native = load_binding("native", PLACE)
    broken = Binding(
        source="native", kind="gateway", description="", signals={"tier:provider:requests:rate5m": "{{ jobb }}"}
    )
    with pytest.raises(InvalidInput) as raised:
        bound_expressions(broken, Timing(), "gateway")
    (problem,) = raised.value.problems
    assert "jobb" in problem.found
    assert problem.location.line > 1
    assert native.source == "native"

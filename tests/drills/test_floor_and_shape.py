"""Pure parts of a drill: floors, load shapes, mixes, timelines on disk, reports."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from tests.drills.short_drill import SHORT, short_spec
from tests.drills.synthetic_run import CLEAR_AT, FAULT_AT, WHO, passing_events, spec, timeline, times
from tiercli.catalog.loading import LoadedCatalog
from tiercli.drills.judge.detection import floor_parts
from tiercli.drills.judge.verdict import judge
from tiercli.drills.load.shape import build_shape
from tiercli.drills.record.events import AlarmFacts, AlertSamples, Notified, SignalSamples
from tiercli.drills.record.history import encode_result
from tiercli.drills.record.timeline_file import decode_events, encode_event
from tiercli.drills.report.junit import render_junit
from tiercli.drills.report.page import render_report
from tiercli.drills.spec.mix import build_mix
from tiercli.drills.spec.model import Load
from tiercli.errors import InvalidInput

FACTS = AlarmFacts(
    at=0,
    alert="A",
    identity=[],
    for_s=10,
    keep_firing_for_s=0,
    window_s=10,
    shortest_window_s=1,
)


def test_a_window_fills_when_the_raw_data_says_so() -> None:
    assert floor_parts(FACTS, 0.5, 2.5)["rate window fills"] == 2.5


def test_a_window_of_which_nothing_is_known_must_pass_whole() -> None:
    assert floor_parts(FACTS, 0.5, None)["rate window fills"] == 9


def falling_back(fires_at: float, pending: list[float], filled: list[float]) -> tuple[float, float]:
    """The passing run with other samples: how long its window took to fill, and how far it was above its floor."""
    kept = [
        replace(event, times=pending if event.state == "pending" else times(fires_at, CLEAR_AT + 5))
        if isinstance(event, AlertSamples)
        else event
        for event in passing_events()
    ]
    points = [(at, 1.0) for at in filled]
    raw = SignalSamples(
        at=CLEAR_AT + 20, alert="ProviderDown", role="filled", expr="raw", labels=WHO, unit="short", points=points
    )
    detection = judge(spec(), timeline(kept, raw)).expectations[0].detection
    assert detection.above_floor_s is not None
    return detection.floor_parts["rate window fills"], detection.above_floor_s


def test_a_signal_that_falls_back_begins_its_wait_anew() -> None:
    fell = times(FAULT_AT + 1, FAULT_AT + 2, 0.05) + times(FAULT_AT + 3, CLEAR_AT, 0.05)
    broken = times(FAULT_AT + 1, FAULT_AT + 2) + times(FAULT_AT + 3, FAULT_AT + 4.75)
    # The raw data departs 0.4 s after the fault; the alarm waits 2 s.
    assert falling_back(FAULT_AT + 5, broken, fell) == (pytest.approx(2.6), pytest.approx(0.0))
    # An alarm that begins anew though its signal never fell back is late, and so is one that was pending all the time.
    steady = times(FAULT_AT + 1, CLEAR_AT, 0.05)
    assert falling_back(FAULT_AT + 5, broken, steady) == (pytest.approx(0.6), pytest.approx(2.0))
    assert falling_back(FAULT_AT + 5, times(FAULT_AT + 1, FAULT_AT + 4.75), fell) == (
        pytest.approx(0.6),
        pytest.approx(2.0),
    )


def test_a_rule_that_sees_a_first_event_before_a_raw_rate_does_needs_no_time_to_fill() -> None:
    later = times(FAULT_AT + 2.5, CLEAR_AT, 0.05)
    assert falling_back(FAULT_AT + 4, times(FAULT_AT + 2, FAULT_AT + 3.75), later)[0] == pytest.approx(2.1)


def test_for_is_rounded_up_to_whole_evaluations() -> None:
    assert floor_parts(replace(FACTS, for_s=2), 0.333, 0)["for, in whole evaluations"] == pytest.approx(2.331)
    assert floor_parts(replace(FACTS, for_s=2), 0.5, 0)["for, in whole evaluations"] == 2


def test_a_load_shape_says_its_rate_and_its_arrivals_without_a_clock() -> None:
    constant = build_shape(Load(arrivals_per_second=50), 30)
    assert (constant.rate_at(0), constant.rate_at(1000), constant.arrivals_until(10)) == (50, 50, 500)
    ramp = build_shape(Load(shape="ramp", arrivals_per_second=10, peak_per_second=30, ramp_over="5m"), 30)
    assert (ramp.rate_at(0), ramp.rate_at(5), ramp.rate_at(60)) == (10, 20, 30)
    assert ramp.arrivals_until(10) == pytest.approx(200)
    spike = build_shape(
        Load(shape="spike", arrivals_per_second=10, peak_per_second=100, spike_from="1m", spike_for="1m"), 30
    )
    assert (spike.rate_at(1.9), spike.rate_at(3), spike.rate_at(4.1)) == (10, 100, 10)
    assert spike.arrivals_until(6) == pytest.approx(240)


def test_a_mix_keeps_to_what_the_catalog_allows(hybrid: LoadedCatalog) -> None:
    load = Load.model_validate({"arrivals_per_second": 1, "mix": {"aliases": {"smart-reasoner": 3, "chat": 1}}})
    mix = build_mix(load, hybrid.catalog)
    assert sum(part.share for part in mix) == pytest.approx(1)
    assert sum(part.share for part in mix if part.alias == "smart-reasoner") == pytest.approx(0.75)
    for part in mix:
        tenant = hybrid.catalog.tenants[part.tenant]
        assert part.feature in tenant.features
        assert part.alias in hybrid.catalog.tenant_aliases(tenant)
    assert "acme-corp" not in {part.tenant for part in mix if part.alias == "smart-reasoner"}


def test_a_timeline_survives_the_way_to_disk_and_back() -> None:
    events = passing_events()
    lines = [encode_event(event) + "\n" for event in events]
    assert [encode_event(event) for event in decode_events(lines).events] == [line.rstrip("\n") for line in lines]


def test_a_timeline_cut_short_by_a_crash_is_read_up_to_there() -> None:
    lines = [encode_event(event) + "\n" for event in passing_events()[:3]]
    assert len(decode_events([*lines, '{"kind": "loa']).events) == 3
    with pytest.raises(InvalidInput) as failed:
        decode_events([lines[0], "{broken}\n", lines[1]])
    assert failed.value.problems[0].location.line == 2


class Collector(HTMLParser):
    """Collects what a page would fetch, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_is_one_offline_page_with_the_verdict_first() -> None:
    events = timeline(passing_events())
    page = Collector()
    page.feed(render_report(judge(spec(), events), events))
    assert not page.fetched
    assert "script" not in page.tags
    assert "svg" in page.tags
    body = page.text[page.text.index("Fire drill") :]
    assert body.index("passed") < body.index("What happened") < body.index("Verification record")
    assert "fired after 4.0 s of 6.0 s allowed (3m of simulated time)" in body


def test_the_report_escapes_what_it_is_told() -> None:
    evil = "<script>alert(1)</script>"
    told = Notified(
        at=FAULT_AT + 5, receiver=evil, status="firing", alert=evil, labels={"provider": evil}, annotations={evil: evil}
    )
    events = timeline(passing_events(), told)
    page = Collector()
    page.feed(render_report(judge(spec(), events), events))
    assert "script" not in page.tags
    assert evil in page.text


def test_a_report_is_drawn_of_whatever_there_was() -> None:
    for length in range(len(passing_events())):
        events = timeline(passing_events()[:length])
        assert "</html>" in render_report(judge(spec(), events), events)


def test_junit_tells_a_failure_from_an_error() -> None:
    events = timeline([event for event in passing_events() if not isinstance(event, Notified)])
    suite = ElementTree.fromstring(render_junit(judge(spec(), events)))  # noqa: S314 - our own
    assert int(suite.attrib["failures"]) > 0
    assert suite.attrib["errors"] == "0"
    empty = ElementTree.fromstring(render_junit(judge(spec(), timeline([]))))  # noqa: S314 - our own
    assert (empty.attrib["failures"], empty.attrib["errors"]) == ("0", "1")


def test_result_json_says_the_verdict_and_the_parts() -> None:
    data = json.loads(encode_result(judge(spec(), timeline(passing_events()))))
    assert data["outcome"] == "passed"
    assert data["expectations"][0]["detection"]["floor_s"] == 3.5
    assert data["ended_at"] > CLEAR_AT


def test_the_short_drill_is_a_drill() -> None:
    assert short_spec().name == SHORT["name"]

"""Drill specs that cannot be run: every problem at once, each at its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.drills.short_drill import SHORT
from tiercli.catalog.document import parse_document
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.shape import load_model
from tiercli.drills.spec.check import check_spec
from tiercli.drills.spec.files import find_drill, load_drill
from tiercli.drills.spec.model import DrillSpec
from tiercli.errors import InvalidInput
from tiercli.rules.alarm import Alarm
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.deployment import timing_of


def alarms_of(loaded: LoadedCatalog) -> tuple[Alarm, ...]:
    """The alarms of a catalog."""
    return load_alarms(loaded, timing_of(loaded.catalog))


def problems_of(loaded: LoadedCatalog, **changes: Any) -> list[str]:
    """What check_spec says of the short drill with some entries changed."""
    text = yaml.safe_dump({**SHORT, **changes}, sort_keys=False)
    document = parse_document(text, "drill.yaml")
    spec = load_model(document, DrillSpec)
    return [str(problem) for problem in check_spec(spec, loaded.catalog, alarms_of(loaded), document.locate)]


EXPECT: dict[str, Any] = SHORT["expect"][0]
FAULT: dict[str, Any] = SHORT["faults"][0]


def test_the_short_drill_has_no_problem(hybrid: LoadedCatalog) -> None:
    assert problems_of(hybrid) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alarms": ["ProviderDwn"]}, "unknown alarm 'ProviderDwn'; did you mean 'ProviderDown'?"),
        ({"alarms": ["GatewayDown"]}, "claims to prove GatewayDown and expects nothing of it"),
        ({"owner": "nobody"}, "unknown owner 'nobody'"),
        ({"expect": [EXPECT | {"receiver": "platform-pagr"}]}, "did you mean 'platform-pager'?"),
        ({"expect": [EXPECT | {"firing_within": "10m"}]}, "firing_within 10m is longer than the fault phase"),
        ({"expect": [EXPECT | {"notified_within": "1m"}]}, "notified_within 1m is shorter than firing_within 3m"),
        ({"expect": [EXPECT | {"resolved_within": "2h"}]}, "resolved_within 2h is longer than the recovery phase"),
        ({"faults": [FAULT | {"fault": "outrage"}]}, "unknown fault 'outrage'; did you mean 'outage'?"),
        (
            {"faults": [FAULT | {"target": {"provider": "antropic"}}]},
            "unknown provider 'antropic' in fault outage; did you mean 'anthropic'?",
        ),
        ({"faults": [FAULT | {"target": {"planet": "mars"}}]}, "target has no label 'planet'"),
        (
            {"faults": [FAULT | {"target": {"provider": "openai", "region": "us-east-1"}}]},
            "nothing in the catalog is provider=openai, region=us-east-1",
        ),
        ({"faults": [FAULT | {"settings": {"mode": "softly"}}]}, "outage"),
        ({"faults": [{"fault": "outage"}]}, "the fault outage has no target, and would be on everywhere"),
        (
            {"allow": [{"alert": "ProviderDown", "state": "suppressed"}]},
            "ProviderDown is expected, and the drill allows it too: it could not fail",
        ),
        (
            {"expect": [EXPECT, EXPECT | {"alert": "CloudErrorRateHigh"}]},
            "CloudErrorRateHigh is expected to reach platform-pager, and ProviderDown, expected too, inhibits it",
        ),
        ({"faults": [FAULT | {"from": "2m", "until": "1m"}]}, "does not lie within the fault phase"),
        ({"faults": [FAULT | {"until": "1h"}]}, "does not lie within the fault phase"),
        ({"phases": {"steady": "1m"}}, "a drill with faults needs the phases fault and recovery"),
        ({"phases": {"steady": "0s", "fault": "3m", "recovery": "11m"}}, "without a steady phase"),
        ({"faults": []}, "alerts are expected, and no fault is there to raise them"),
        (
            {"load": {"arrivals_per_second": 1, "mix": {"aliases": {"chatt": 1}}}},
            "unknown alias 'chatt'; did you mean 'chat'?",
        ),
        (
            {
                "load": {
                    "arrivals_per_second": 1,
                    "mix": {"aliases": {"smart-reasoner": 1}, "tenants": {"acme-corp": 1}},
                }
            },
            "nobody in the mix may call alias 'smart-reasoner'",
        ),
        ({"load": {"arrivals_per_second": 1, "shape": "ramp"}}, "a load of shape ramp needs peak_per_second"),
        (
            {"load": {"arrivals_per_second": 1, "spike_for": "1m"}},
            "spike_for means nothing for a load of shape constant",
        ),
    ],
)
def test_a_contradiction_is_named_at_its_place(hybrid: LoadedCatalog, changes: dict[str, Any], said: str) -> None:
    problems = problems_of(hybrid, **changes)
    assert any(said in problem for problem in problems), problems
    assert all(problem.startswith("drill.yaml:") for problem in problems)


def test_all_problems_come_at_once(hybrid: LoadedCatalog) -> None:
    problems = problems_of(hybrid, owner="nobody", alarms=["Nothing"], faults=[FAULT | {"target": {"region": "mars"}}])
    assert len(problems) >= 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nphases: {steady: -5m}", "'-5m' is not a duration"),
        ("name: x\nlode: {}", "did you mean 'load'?"),
        ("name: x\nload: {arrivals_per_second: -1}", "a number above 0"),
        ("", "an empty document"),
    ],
)
def test_a_misshapen_spec_is_told_with_line_and_column(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput) as failed:
        load_drill(path)
    assert any(said in str(problem) and problem.location.line for problem in failed.value.problems), (
        failed.value.problems
    )


def test_an_unknown_drill_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput) as failed:
        find_drill("provider-outrage")
    assert failed.value.problems[0].suggestion == "provider-outage"

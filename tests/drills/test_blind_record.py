"""What is concluded of the rounds, and what is written: for machines, and for people."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tiercli.drills.blind.answer import Answer, Culprit, Kind, place
from tiercli.drills.blind.record import BLIND, Played, render_blind_report, write_record
from tiercli.drills.blind.rounds import TARGET_S, Round
from tiercli.drills.blind.scenario import Scenario
from tiercli.drills.blind.score import Score, score_of, scores_by_kind
from tiercli.drills.blind.seen import Finding

ANTHROPIC, OPENAI = place("anthropic", "ap-south-1"), place("openai", "ap-south-1")
SLOW = Scenario("latency", {"provider": "anthropic", "region": "ap-south-1"}, {"seconds": 2}, Kind.SLOW, (ANTHROPIC,))
HOSTILE = Scenario(
    "cost-runaway",
    {"tenant": "<script>alert(1)</script>"},
    {},
    Kind.SPEND,
    (Culprit("tenant", "<script>alert(1)</script>"),),
)
SHOWN = Finding(SLOW.truth, 3.0, ("provider / Latency: anthropic p50 2.4 s, before 440 ms",))


def played(*rounds: Round, auto: bool = True) -> Played:
    return Played("content-company", "production", 60, 7, auto, rounds, {"prometheus": "2.42.0"})


def one_round(scenario: Scenario = SLOW, answer: Answer | None = None, seconds: float = 20.0, number: int = 1) -> Round:
    return Round(number, f"7/{number}", 1_790_000_000.0, scenario, answer, seconds, (SHOWN,))


RIGHT = one_round(answer=SLOW.truth)
LATE = one_round(answer=SLOW.truth, seconds=TARGET_S + 1, number=2)
WRONG = one_round(answer=Answer(Kind.SLOW, OPENAI), number=3)
SILENT = one_round(number=4)


@pytest.mark.parametrize(("right", "of"), [(57, 60), (60, 60), (0, 10), (5, 10), (1, 1)])
def test_the_interval_is_wilsons(right: int, of: int) -> None:
    # Wilson's bounds are the shares from which what was seen is just 1.96 standard errors away: theirs, not its own.
    for bound in Score(right, of).interval:
        assert (right / of - bound) ** 2 == pytest.approx(1.96**2 * bound * (1 - bound) / of, rel=1e-3, abs=1e-9)
    low, high = Score(right, of).interval
    assert low <= right / of <= high + 1e-9


def test_the_figures_that_are_asked_for() -> None:
    assert str(Score(57, 60)) == "57 of 60 (95 % interval 86–98 %)"
    assert str(Score(60, 60)) == "60 of 60 (95 % interval 94–100 %)"
    assert Score(0, 0).interval == (0.0, 1.0)


def test_only_what_is_right_and_in_time_counts() -> None:
    assert score_of([RIGHT, LATE, WRONG, SILENT]) == Score(1, 4)
    assert scores_by_kind([RIGHT, one_round(HOSTILE, HOSTILE.truth)]) == {
        Kind.SLOW: Score(1, 1),
        Kind.SPEND: Score(1, 1),
    }


def test_the_record_says_answer_time_truth_and_panels_and_is_its_owners_alone(tmp_path: Path) -> None:
    folder = write_record(tmp_path, played(RIGHT, LATE, WRONG, SILENT))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name for path in folder.iterdir()} == {BLIND, "report.html"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    said = json.loads((folder / BLIND).read_text(encoding="utf-8"))
    assert (said["right"], said["of"], said["target_s"], said["answered_by"]) == (1, 4, TARGET_S, "panels")
    assert [one["verdict"] for one in said["rounds"]] == ["right", "late", "wrong", "wrong"]
    assert said["facts"] == {"prometheus": "2.42.0"}
    wrong = said["rounds"][2]
    assert wrong["answer"] == {"kind": "slow", "culprit": "provider openai/ap-south-1"}
    assert (wrong["truth"]["kind"], wrong["truth"]["culprit"]) == ("slow", "provider anthropic/ap-south-1")
    assert (wrong["truth"]["fault"], wrong["truth"]["settings"]) == ("latency", {"seconds": 2})
    assert wrong["panels"][0]["shown"] == list(SHOWN.shown)
    assert said["rounds"][3]["answer"] is None


@pytest.mark.parametrize(
    ("one", "words"),
    [(RIGHT, "✓ right"), (LATE, "? late"), (WRONG, "✗ wrong"), (SILENT, "✗ wrong")],
    ids=["right", "late", "wrong", "silent"],
)
def test_the_report_of_one_says_the_verdict_first(one: Round, words: str) -> None:
    page = render_blind_report(played(one, auto=False))
    assert page.index(words) < page.index("slow provider anthropic/ap-south-1") < page.index("What the panels showed")
    assert "answered by a person" in page
    assert SHOWN.shown[0] in page
    assert "latency on provider anthropic, region ap-south-1 (seconds 2)" in page


def test_the_report_of_several_counts_them_with_the_interval_and_by_kind() -> None:
    page = render_blind_report(played(RIGHT, WRONG, one_round(HOSTILE, HOSTILE.truth, number=4)))
    assert page.index("right in 2 of 3 (95 % interval 21–94 %)") < page.index("By kind of fault")
    assert page.index("By kind of fault") < page.index("Round 1")
    assert "<script>" not in page

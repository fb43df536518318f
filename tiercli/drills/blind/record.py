"""What a blind drill leaves behind: blind.json for machines, report.html for people. Written when all is answered, not before:
a folder must not tell what is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiercli.drills.blind.rounds import TARGET_S, Round
from tiercli.drills.blind.score import Score, score_of, scores_by_kind
from tiercli.drills.record.run_folder import REPORT, make_run_folder, write_files
from tiercli.drills.report.page import page_template

BLIND = "blind.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Played:
    """A blind drill that ended: who answered, in which estate, the rounds, and `facts` about what it ran on."""

    estate: str
    env: str
    factor: float
    seed: int
    auto: bool
    rounds: Sequence[Round]
    facts: Mapping[str, str]

    @property
    def score(self) -> Score:
        """Right and in time."""
        return score_of(self.rounds)


def write_record(base: Path, played: Played) -> Path:
    """A new folder below `base`, readable by its owner only, with both files. Raises BackendError where the disk refuses."""
    folder = make_run_folder(base, "blind")
    write_files(folder, {BLIND: encode_played(played), REPORT: render_blind_report(played)})
    return folder


def encode_played(played: Played) -> str:
    """JSON text. Times are Unix seconds, durations real seconds, shares 0 to 1."""
    data = {
        "version": _VERSION,
        "estate": played.estate,
        "env": played.env,
        "factor": played.factor,
        "seed": played.seed,
        "answered_by": "panels" if played.auto else "person",
        "target_s": TARGET_S,
        **_score(played.score),
        "by_kind": {kind.value: _score(score) for kind, score in scores_by_kind(played.rounds).items()},
        "rounds": [_round(round_) for round_ in played.rounds],
        "facts": dict(played.facts),
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def verdict_of(played: Round) -> str:
    """right, late or wrong."""
    if not played.right:
        return "wrong"
    return "right" if played.in_time else "late"


def in_words(played: Round) -> str:
    """The fault that was on, with its target and settings."""
    target = ", ".join(f"{key} {value}" for key, value in played.scenario.target.items())
    settings = ", ".join(f"{key} {value}" for key, value in played.scenario.settings.items())
    return played.scenario.fault + (f" on {target}" if target else "") + (f" ({settings})" if settings else "")


def render_blind_report(played: Played) -> str:
    """The report, as HTML: the verdict first."""
    outcome = "passed" if played.score.right == played.score.of else "failed"
    return page_template("blind.html.j2").render(
        played=played,
        outcome=outcome,
        target_s=TARGET_S,
        kinds=[(kind.value, score) for kind, score in scores_by_kind(played.rounds).items()],
        rounds=[(round_, verdict_of(round_), in_words(round_)) for round_ in played.rounds],
        styles={"right": "passed", "late": "inconclusive", "wrong": "failed"},
        marks={"right": "✓", "late": "?", "wrong": "✗"},
    )


def _score(score: Score) -> dict[str, Any]:
    low, high = score.interval
    return {"right": score.right, "of": score.of, "interval_95": [round(low, 4), round(high, 4)]}


def _round(played: Round) -> dict[str, Any]:
    return {
        "number": played.number,
        "seed": played.seed,
        "at": round(played.at, 3),
        "verdict": verdict_of(played),
        "seconds": round(played.seconds, 1),
        "answer": None if played.answer is None else _answer(played.answer.kind.value, str(played.answer.culprit)),
        "truth": {
            **_answer(played.scenario.kind.value, str(played.scenario.culprits[0])),
            "also_right": [str(culprit) for culprit in played.scenario.culprits[1:]],
            "fault": played.scenario.fault,
            "target": dict(played.scenario.target),
            "settings": dict(played.scenario.settings),
        },
        "panels": [
            {**_answer(finding.answer.kind.value, str(finding.answer.culprit)), "shown": list(finding.shown)}
            for finding in played.shown
        ],
    }


def _answer(kind: str, culprit: str) -> dict[str, Any]:
    return {"kind": kind, "culprit": culprit}

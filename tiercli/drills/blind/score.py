"""How often answers were right, and how sure that figure is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tiercli.drills.blind.answer import Kind
from tiercli.drills.blind.rounds import Round

_Z95 = 1.959963984540054  # of the standard normal distribution, two-sided


@dataclass(frozen=True, slots=True)
class Score:
    """`right` of `of`, and the 95 % interval of the share, by Wilson: 0 to 1."""

    right: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        """The lowest and the highest share that goes with what was seen."""
        if not self.of:
            return 0.0, 1.0
        share, spread = self.right / self.of, _Z95 * _Z95 / self.of
        centre = (share + spread / 2) / (1 + spread)
        half = _Z95 * math.sqrt(share * (1 - share) / self.of + spread / (4 * self.of)) / (1 + spread)
        return max(0.0, centre - half), min(1.0, centre + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.right} of {self.of} (95 % interval {100 * low:.0f}–{100 * high:.0f} %)"


def score_of(rounds: Sequence[Round]) -> Score:
    """Answers that were right, and in time."""
    return Score(sum(round_.right and round_.in_time for round_ in rounds), len(rounds))


def scores_by_kind(rounds: Sequence[Round]) -> dict[Kind, Score]:
    """The same by the kind of fault, of those that were drawn, in the order of kinds."""
    drawn = {kind: [round_ for round_ in rounds if round_.scenario.kind is kind] for kind in Kind}
    return {kind: score_of(some) for kind, some in drawn.items() if some}

"""One fault, drawn with a seed, and which answers to it are right."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tiercli.drills.blind.answer import Answer, Culprit, Kind
from tiercli.drills.blind.ground import Ground
from tiercli.drills.blind.recipes import RECIPES
from tiercli.drills.blind.rules import not_shown
from tiercli.drills.spec.model import FaultUse
from tiercli.errors import InvalidInput, Location, Problem


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault on a target. `culprits`: any of them is right, the first is the plainest."""

    fault: str
    target: Mapping[str, str]
    settings: Mapping[str, Any]
    kind: Kind
    culprits: tuple[Culprit, ...]

    @property
    def truth(self) -> Answer:
        """The plainest right answer."""
        return Answer(self.kind, self.culprits[0])

    def is_right(self, answer: Answer | None) -> bool:
        """Whether `answer` names the kind and one of the culprits."""
        return answer is not None and answer.kind is self.kind and answer.culprit in self.culprits

    def use(self) -> FaultUse:
        """The fault, as drills apply it."""
        return FaultUse(fault=self.fault, target=dict(self.target), settings=dict(self.settings))


def draw(ground: Ground, seed: str) -> Scenario:
    """A fault that the catalog's estate can have and show: first which fault, each as likely as the others, then where, then how strong.
    The same for the same catalog and seed. Raises InvalidInput where no fault would show."""
    source = random.Random(seed)  # noqa: S311 - a drill, not a secret
    hidden = not_shown(ground)
    shown = [recipe for recipe in RECIPES if recipe.kind not in hidden]
    possible = [(recipe, targets) for recipe in shown if (targets := recipe.targets(ground))]
    if not possible:
        place = Location("the catalog")
        problem = Problem(place, "no provider has enough traffic", "aliases that tenants may call")
        raise InvalidInput("there is nothing to drill", [problem])
    recipe, targets = source.choice(possible)
    target = source.choice(targets)
    return Scenario(
        recipe.fault, target.labels, recipe.settings(source, ground, target), recipe.kind, tuple(target.culprits)
    )

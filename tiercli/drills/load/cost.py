"""What a load can cost at most, by the catalog's price book: known before it begins, and watched while it runs.

A bound and not a bill: each call is taken at all of its alias' candidates, with as many tokens as it may have. One that is given up
may be billed, and the one after it too. What a gateway tries again by itself is not known, nor what a locustfile of one's own sends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiercli.catalog.model import Candidate, Catalog
from tiercli.drills.load.shape import build_shape
from tiercli.drills.record.events import LoadWindow
from tiercli.drills.spec.mix import build_mix
from tiercli.drills.spec.model import Load
from tiercli.money import dollars

TOKENS_PER_WORD = 2  # a prompt is plain words; no tokenizer needs more for one
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class LoadBound:
    """The most that a load does: calls and US dollars, by alias."""

    calls: Mapping[str, float]
    usd: Mapping[str, float]

    @property
    def total_calls(self) -> float:
        """Calls of all aliases."""
        return sum(self.calls.values())

    @property
    def total_usd(self) -> float:
        """US dollars of all aliases."""
        return sum(self.usd.values())


@dataclass(slots=True)
class Spending:
    """What was spent so far at most, US dollars; `cap_usd`: where a drill stops."""

    cap_usd: float
    per_call: Mapping[str, float]
    usd: float = 0.0

    def add(self, window: LoadWindow, per_call: Mapping[str, float] | None = None) -> bool:
        """Count what was started; whether the cap still holds. `per_call`: of a load with other tokens than the drill's own. Calls
        that do not say their alias are taken at the dearest."""
        prices = per_call or self.per_call
        dearest = max(prices.values(), default=0.0)
        unsaid = max(0, window.started - sum(window.by_alias.values()))
        self.usd += (
            sum(count * prices.get(alias, dearest) for alias, count in window.by_alias.items()) + unsaid * dearest
        )
        return self.usd <= self.cap_usd

    def exceeded(self) -> str:
        """Why a drill stops here."""
        return (
            f"the load may have cost {dollars(self.usd)} USD by now, and the drill may cost {dollars(self.cap_usd)} USD"
        )


def bound_load(load: Load, catalog: Catalog, seconds: float, factor: float) -> LoadBound:
    """What `load` does at most within a number of real seconds, under a compression factor."""
    arrivals = build_shape(load, factor).arrivals_until(seconds)
    each = cost_per_call(load, catalog)
    calls: dict[str, float] = {}
    for part in build_mix(load, catalog):
        calls[part.alias] = calls.get(part.alias, 0.0) + arrivals * part.share
    return LoadBound(calls, {alias: count * each[alias] for alias, count in calls.items()})


def cost_per_call(load: Load, catalog: Catalog) -> dict[str, float]:
    """US dollars of one call of each alias at most."""
    return {
        name: sum(_candidate_usd(load, catalog, candidate) for candidate in alias.candidates)
        for name, alias in catalog.aliases.items()
    }


def unpriced(catalog: Catalog, aliases: Sequence[str]) -> list[Candidate]:
    """Candidates of these aliases in the cloud that the price book has no price of."""
    return [
        candidate
        for name in aliases
        for candidate in catalog.aliases[name].candidates
        if catalog.providers[candidate.provider].tier == "cloud" and _price(catalog, candidate) is None
    ]


def _price(catalog: Catalog, candidate: Candidate) -> tuple[float, float] | None:
    price = catalog.price_book.models.get(candidate.provider, {}).get(candidate.model)
    # What a cache stores is billed dearer than plain input.
    return None if price is None else (max(price.input, price.cache_write or 0.0), price.output)


def _candidate_usd(load: Load, catalog: Catalog, candidate: Candidate) -> float:
    """The local tier's hours are paid for whether it is called or not: a call costs nothing more there."""
    price = _price(catalog, candidate)
    if price is None or catalog.providers[candidate.provider].tier == "local":
        return 0.0
    return (load.prompt_tokens * TOKENS_PER_WORD * price[0] + load.max_tokens * price[1]) / MILLION

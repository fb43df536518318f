"""What can be answered: a kind of fault and a culprit; which answers there are, and what a line of text means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from tiercli.catalog.model import Catalog
from tiercli.catalog.names import unknown_name
from tiercli.errors import InvalidInput, Location, Problem

What = Literal["provider", "server", "alias", "tenant", "region", "gateway", "audit log", "metrics"]


class Kind(StrEnum):
    """A kind of fault, as an on-call can tell it from the others. Faults that look the same share one."""

    UNREACHABLE = "unreachable"
    CUT_OFF = "cut-off"
    ERRORS = "errors"
    THROTTLED = "throttled"
    UNCLASSIFIED = "unclassified"
    BAD_ANSWERS = "bad-answers"
    SLOW = "slow"
    SLOW_STREAMS = "slow-streams"
    WRONG_REGION = "wrong-region"
    REFUSALS = "refusals"
    ANSWER_LENGTH = "answer-length"
    EVAL_SCORE = "eval-score"
    OVERLOADED = "overloaded"
    QUOTA = "quota"
    SPEND = "spend"
    PRICES = "prices"
    GATEWAY_DOWN = "gateway-down"
    REPLICA_MISSING = "replica-missing"
    AUDIT = "audit"
    UNSCRAPED = "unscraped"


MEANING: dict[Kind, str] = {
    Kind.UNREACHABLE: "no call succeeds there: refused, reset, or never answered",
    Kind.CUT_OFF: "answers begin, and the connection breaks",
    Kind.ERRORS: "a share of the calls fails with an error that the gateway knows",
    Kind.THROTTLED: "a share of the calls is answered with 429",
    Kind.UNCLASSIFIED: "a share of the calls fails in a way that the gateway does not know",
    Kind.BAD_ANSWERS: "a share of the answers succeeds and has the wrong shape",
    Kind.SLOW: "every call takes longer",
    Kind.SLOW_STREAMS: "streams come late and drip; calls that do not stream are as ever",
    Kind.WRONG_REGION: "calls are served where their tenant's data may not go (culprit: that region, or who served them)",
    Kind.REFUSALS: "the model refuses more often (culprit: the provider, or the alias that it answers first)",
    Kind.ANSWER_LENGTH: "answers have become longer or shorter (culprit: the provider, or the alias)",
    Kind.EVAL_SCORE: "the evals of an alias have become worse",
    Kind.OVERLOADED: "more calls than our servers can carry: GPUs full, a queue (culprit: the provider, or the alias)",
    Kind.QUOTA: "a tenant sends as much as its quota allows, or more",
    Kind.SPEND: "a tenant spends many times what it did, because it asks for more",
    Kind.PRICES: "the same calls cost more (culprit: the provider, all of its regions)",
    Kind.GATEWAY_DOWN: "no instance of the gateway is up",
    Kind.REPLICA_MISSING: "some instances of the gateway are gone, others serve",
    Kind.AUDIT: "calls are not recorded, some or all of them",
    Kind.UNSCRAPED: "metrics are not scraped, and what they measure goes on unseen",
}
# Kinds that only one thing can have.
_IMPLIED: dict[Kind, What] = {
    Kind.GATEWAY_DOWN: "gateway",
    Kind.REPLICA_MISSING: "gateway",
    Kind.AUDIT: "audit log",
}
METRICS = ("servers", "gpus")  # whose scrapes can fail while everything runs
_PLACE = Location("the answer")


@dataclass(frozen=True, slots=True)
class Culprit:
    """Who or what. A `provider` is named with its region, "anthropic/ap-south-1", or without for all of its regions."""

    what: What
    name: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.name}".strip()


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody says is wrong."""

    kind: Kind
    culprit: Culprit

    def __str__(self) -> str:
        return f"{self.kind.value} {self.culprit}"


def place(provider: str, region: str) -> Culprit:
    """A provider in one region."""
    return Culprit("provider", f"{provider}/{region}")


def culprits_of(catalog: Catalog) -> tuple[Culprit, ...]:
    """Everything in the catalog that an answer can name."""
    culprits: dict[Culprit, None] = {}
    for provider, region in catalog.provider_regions():
        culprits[place(provider, region)] = None
    culprits |= dict.fromkeys(Culprit("provider", name) for name in catalog.providers)
    culprits |= dict.fromkeys(Culprit("server", name) for _, name, _ in catalog.servers())
    culprits |= dict.fromkeys(Culprit("alias", name) for name in catalog.aliases)
    culprits |= dict.fromkeys(Culprit("tenant", name) for name in catalog.tenants)
    culprits |= dict.fromkeys(Culprit("region", region) for _, region in catalog.provider_regions())
    if any(True for _ in catalog.servers()):
        culprits |= dict.fromkeys(Culprit("metrics", name) for name in METRICS)
    return (*culprits, Culprit("gateway"), Culprit("audit log"))


def parse_answer(text: str, known: Sequence[Culprit]) -> Answer:
    """The answer in "KIND CULPRIT"; where only one culprit can be meant, KIND alone is enough. Raises InvalidInput."""
    word, _, rest = text.strip().partition(" ")
    kind = next((kind_ for kind_ in Kind if kind_.value == word.casefold()), None)
    if kind is None:
        raise InvalidInput(
            "no such kind of fault", [unknown_name("kind", word, [kind_.value for kind_ in Kind], _PLACE)]
        )
    rest = rest.strip()
    if kind in _IMPLIED:
        return Answer(kind, Culprit(_IMPLIED[kind]))
    exact = list(_named(rest, known, str.strip)) or list(_named(rest, known, str.casefold))
    if len(exact) == 1:
        return Answer(kind, exact[0])
    if not exact:
        problem = unknown_name("culprit", rest, [str(culprit) for culprit in known], _PLACE)
        raise InvalidInput("nobody of that name", [problem])
    problem = Problem(_PLACE, f"{rest!r} is several", ", ".join(str(culprit) for culprit in exact))
    raise InvalidInput("say which is meant", [problem])


def _named(text: str, known: Sequence[Culprit], fold: Callable[[str], str]) -> Iterator[Culprit]:
    wanted = fold(text)
    return (culprit for culprit in known if wanted and wanted in (fold(str(culprit)), fold(culprit.name)))

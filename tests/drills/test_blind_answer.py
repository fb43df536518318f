"""What is an answer, who can be named, and which answers are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tiercli.catalog.loading import LoadedCatalog
from tiercli.drills.blind.answer import MEANING, Answer, Culprit, Kind, culprits_of, parse_answer, place
from tiercli.drills.blind.ground import survey
from tiercli.drills.blind.scenario import Scenario, draw
from tiercli.errors import InvalidInput

ANTHROPIC = place("anthropic", "ap-south-1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("errors anthropic/ap-south-1", Answer(Kind.ERRORS, ANTHROPIC)),
        ("errors provider anthropic/ap-south-1", Answer(Kind.ERRORS, ANTHROPIC)),
        ("  SLOW   Anthropic/AP-South-1 \n", Answer(Kind.SLOW, ANTHROPIC)),
        ("prices anthropic", Answer(Kind.PRICES, Culprit("provider", "anthropic"))),
        ("unreachable vllm-a", Answer(Kind.UNREACHABLE, Culprit("server", "vllm-a"))),
        ("eval-score chat", Answer(Kind.EVAL_SCORE, Culprit("alias", "chat"))),
        ("spend tenant acme-corp", Answer(Kind.SPEND, Culprit("tenant", "acme-corp"))),
        ("wrong-region us-east-1", Answer(Kind.WRONG_REGION, Culprit("region", "us-east-1"))),
        ("unscraped gpus", Answer(Kind.UNSCRAPED, Culprit("metrics", "gpus"))),
        ("gateway-down", Answer(Kind.GATEWAY_DOWN, Culprit("gateway"))),
        ("audit audit log", Answer(Kind.AUDIT, Culprit("audit log"))),
    ],
)
def test_an_answer_is_a_kind_and_somebody_of_the_catalog(hybrid: LoadedCatalog, text: str, expected: Answer) -> None:
    assert parse_answer(text, culprits_of(hybrid.catalog)) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "unknown kind ''"),
        ("eror anthropic/ap-south-1", "did you mean 'errors'"),
        ("errors", "unknown culprit ''"),
        ("errors antropic/ap-south-1", "did you mean 'provider anthropic/ap-south-1'"),
    ],
)
def test_what_is_no_answer_is_said_with_what_would_be(hybrid: LoadedCatalog, text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_answer(text, culprits_of(hybrid.catalog))
    assert said in str(caught.value.problems[0])


def test_a_name_that_is_several_must_say_which(changed_hybrid: Callable[..., LoadedCatalog]) -> None:
    def call_a_tenant_as_an_alias(data: dict[str, Any]) -> None:
        data["tenants"]["chat"] = {"features": ["x"], "budget_usd_per_month": 1, "zone": "anywhere"}

    known = culprits_of(changed_hybrid(call_a_tenant_as_an_alias).catalog)
    with pytest.raises(InvalidInput) as caught:
        parse_answer("spend chat", known)
    assert "alias chat, tenant chat" in str(caught.value.problems[0])
    assert parse_answer("spend tenant chat", known).culprit == Culprit("tenant", "chat")


def test_every_kind_says_what_it_means_and_stands_in_the_help(run_tiercli: Callable[..., Any]) -> None:
    assert set(MEANING) == set(Kind)
    said = run_tiercli("drill", "blind", "--help").stdout
    words = {word.strip(",.:") for word in said.split()}
    assert {kind.value for kind in Kind} <= words


def test_right_is_the_kind_and_the_culprit() -> None:
    scenario = Scenario("errors", {}, {}, Kind.ERRORS, (ANTHROPIC, Culprit("provider", "anthropic")))
    assert scenario.is_right(Answer(Kind.ERRORS, ANTHROPIC))
    assert scenario.is_right(Answer(Kind.ERRORS, Culprit("provider", "anthropic")))
    assert not scenario.is_right(Answer(Kind.SLOW, ANTHROPIC))
    assert not scenario.is_right(Answer(Kind.ERRORS, place("openai", "ap-south-1")))
    assert not scenario.is_right(None)


def test_a_provider_without_its_region_is_right_only_where_it_has_one(hybrid: LoadedCatalog) -> None:
    ground = survey(hybrid.catalog)
    drawn = [draw(ground, str(seed)) for seed in range(300)]
    by_place = {one.culprits[0].name: one for one in drawn if one.fault == "errors"}
    assert Culprit("provider", "openai") in by_place["openai/ap-south-1"].culprits
    assert Culprit("provider", "anthropic") not in by_place["anthropic/ap-south-1"].culprits

"""A drafted catalog loads, holds every name that a catalog can hold, and marks what it made up."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tiercli.catalog.draft import SeenEstate, SeenStep, SeenTenant, draft_text
from tiercli.catalog.loading import parse_catalog
from tiercli.catalog.model import Offer
from tiercli.errors import InvalidInput
from tiercli.lint.catalog_checks import further_checks

CLAUDE = Offer("anthropic", "claude", "us-east-1")
CLAUDE_EU = Offer("anthropic", "claude", "eu-west-1")
LLAMA = Offer("vllm", "llama", "")


def test_a_draft_holds_what_was_seen_and_marks_what_was_not() -> None:
    text = draft_text(
        SeenEstate(
            "native",
            [CLAUDE, CLAUDE_EU, LLAMA, Offer("anthropic", "haiku", "us-east-1")],
            {"chat": [SeenStep(1, CLAUDE_EU), SeenStep(2, LLAMA), SeenStep(0, CLAUDE)]},
            {"acme": SeenTenant(["search", "chat"], ["chat", "retired"]), "globex": SeenTenant([], [])},
            ["gateway-1:9100", "not an address"],
        )
    )
    catalog = parse_catalog(text, "draft", further_checks()).catalog
    assert {name: provider.tier for name, provider in catalog.providers.items()} == {
        "anthropic": "cloud",
        "vllm": "local",
    }
    assert set(catalog.offers()) == {
        CLAUDE,
        CLAUDE_EU,
        LLAMA._replace(region="unknown-region"),
        Offer("anthropic", "haiku", "us-east-1"),
    }
    assert [candidate.region for candidate in catalog.aliases["chat"].candidates] == [
        "us-east-1",
        "eu-west-1",
        "unknown-region",
    ]
    assert catalog.tenants["acme"].features == ("chat", "search")
    assert catalog.tenants["acme"].aliases == ("chat",)
    assert catalog.gateway.targets == ("gateway-1:9100",)
    lines = text.splitlines()
    for guessed in ("tier: cloud", "owner: platform", "input: 1", "budget_usd_per_month", "zone: anywhere", "unknown-region: {}"):  # fmt: skip
        assert all("# guess:" in line for line in lines if guessed in line)
        assert any(guessed in line for line in lines)
    assert not any("# guess:" in line for line in lines if "gateway-1" in line or "features: [chat" in line)


def test_names_that_a_catalog_cannot_hold_are_left_out_and_listed() -> None:
    twin = Offer("Anthropic", "claude", "us-east-1")
    text = draft_text(SeenEstate("native", [CLAUDE, twin], {}, {"a\nb": SeenTenant(["x"], [])}))
    catalog = parse_catalog(text, "draft", further_checks()).catalog
    assert len(catalog.providers) == 1
    assert text.splitlines()[1:3] == [
        "# left out: provider anthropic: it differs from Anthropic only in case or encoding",
        '# left out: tenant "a\\nb": a name cannot hold a control character or a line break',
    ]


def _can_stand(offer: Offer) -> bool:
    names = (offer.provider, offer.model, offer.region or "x")
    return all(name == name.strip() and name.isprintable() for name in names)


ANY = st.text(min_size=1, max_size=30)
HOSTILE = st.sampled_from(
    [
        '"',
        "\\",
        "{{ $labels }}",
        "$1",
        "# guess",
        "a: b",
        "- x",
        "yes",
        "null",
        "5",
        "😀",
        "{",
        "*x",
        "&x",
        "!!str",
        "%",
    ]
)
NAMES = st.one_of(ANY, HOSTILE)
OFFERS = st.builds(Offer, NAMES, NAMES, st.one_of(NAMES, st.just("")))


@settings(max_examples=150)
@given(
    offers=st.lists(OFFERS, min_size=1, max_size=5),
    aliases=st.dictionaries(NAMES, st.lists(st.builds(SeenStep, st.integers(0, 5), OFFERS), max_size=3), max_size=3),
    tenants=st.dictionaries(
        NAMES, st.builds(SeenTenant, st.lists(NAMES, max_size=3), st.lists(NAMES, max_size=3)), max_size=3
    ),
    targets=st.lists(NAMES, max_size=2),
)
def test_a_draft_loads_whatever_the_names_are(
    offers: list[Offer], aliases: dict[str, list[SeenStep]], tenants: dict[str, SeenTenant], targets: list[str]
) -> None:
    seen = SeenEstate("native", offers, aliases, tenants, targets)
    try:
        text = draft_text(seen)
    except InvalidInput:
        assert not any(_can_stand(offer) for offer in offers)
        return
    catalog = parse_catalog(text, "draft").catalog
    assert set(catalog.tenants) <= {*tenants, "default"}
    left_out = sum(line.startswith("# left out: ") for line in text.splitlines())
    assert set(catalog.providers) == {offer.provider for offer in seen.offers} or left_out or aliases

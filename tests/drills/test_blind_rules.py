"""From what panels show to what is wrong: the rules, on panels written down here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest

from tiercli.catalog.loading import LoadedCatalog
from tiercli.dashboards import render_dashboards
from tiercli.drills.blind.answer import Kind
from tiercli.drills.blind.rules import RULES, diagnose
from tiercli.drills.blind.seen import Figure, Panel, Seen
from tiercli.signals.boards import load_boards

Rows = Mapping[Panel, Sequence[Figure]]
ANTHROPIC, OPENAI, VLLM = ("anthropic", "ap-south-1"), ("openai", "ap-south-1"), ("vllm", "mumbai-dc")
MODELS = {"anthropic": "claude-sonnet-4-6", "openai": "gpt-5-mini", "vllm": "llama-3.3-70b"}
FIRST = {"smart-reasoner": ANTHROPIC, "chat": OPENAI, "summariser": VLLM}


def offers(panel: str, ending: str, value: float, alarm: float | None = None) -> dict[Panel, list[Figure]]:
    """ANTHROPIC row for each place."""
    rows = []
    for provider, region in (ANTHROPIC, OPENAI, VLLM):
        labels = {"provider": provider, "region": region, "model": MODELS[provider]}
        rows.append(Figure(" / ".join(labels.values()) + ending, labels, value, alarm=alarm))
    return {("provider", panel): rows}


def aliases(panel: str, ending: str, value: float, alarm: float | None = None) -> dict[Panel, list[Figure]]:
    return {("alias", panel): [Figure(name + ending, {"alias": name}, value, alarm=alarm) for name in FIRST]}


def merged(*parts: Rows) -> dict[Panel, list[Figure]]:
    found: dict[Panel, list[Figure]] = {}
    for part in parts:
        for panel, rows in part.items():
            found.setdefault(panel, []).extend(rows)
    return found


# What all panels say while nothing is wrong.
CALM: dict[Panel, list[Figure]] = merged(
    offers("Latency", " p50", 0.4),
    offers("Latency", " p95", 0.7, 1.5),
    offers("Error rate", " errors", 0.0, 0.02),
    offers("Throttled (429)", " throttled", 0.0, 0.001),
    offers("Time to first token", " p95", 0.25),
    {
        ("provider", "Top error codes"): [
            Figure("none", {"code": "none", "provider": provider, "region": region}, 0.0)
            for provider, region in (ANTHROPIC, OPENAI, VLLM)
        ]
    },
    aliases("Calls per minute", "", 800),
    aliases("Eval score", " score", 0.9, 0.88),
    aliases("Cost per 1,000 calls", " cost", 3.0),
    aliases("Answer length", " mean", 200),
    aliases("Refusal rate", " refused", 0.0),
    {
        ("alias", "Calls by candidate"): [
            Figure(name, {"alias": name, "provider": provider, "region": region}, 800)
            for name, (provider, region) in FIRST.items()
        ],
        ("home", "Gateway instances"): [Figure("healthy", {}, 2)],
        ("home", "Audit completeness"): [Figure("complete", {}, 1.0)],
        ("tenant", "Quota buckets"): [Figure("acme at openai used", {"tenant": "acme", "provider": "openai"}, 0.1)],
        ("tenant", "Tokens per second"): [
            Figure(f"{name} input", {"tenant": name, "direction": "input"}, 900) for name in ("acme", "globex")
        ],
        ("cost", "By tenant"): [Figure(name, {"tenant": name}, 20) for name in ("acme", "globex")],
        ("local", "Queue depth"): [
            Figure(f"{name} waiting", {"server": name, "model": MODELS["vllm"]}, 0) for name in "ab"
        ],
        ("local", "GPU utilisation"): [Figure("host GPU 0", {"instance": "host", "gpu": "0"}, 0.35)],
        ("local", "Requests finished"): [Figure(name, {"server": name, "model": MODELS["vllm"]}, 6.5) for name in "ab"],
        ("health", "Scrape health"): [
            Figure(f"{job} host", {"job": job, "instance": "host"}, 1)
            for job in ("tiercli-gateway", "tiercli-servers", "tiercli-source-gpus")
        ],
    },
)


def changed(*changes: tuple[str, str, str, float]) -> dict[Panel, list[Figure]]:
    """CALM with rows (dashboard, panel, part of the row's name or labels) of other values; a row that is new is (code, place)."""
    rows = {panel: list(figures) for panel, figures in CALM.items()}
    for dashboard, panel, part, value in changes:
        old = rows[dashboard, panel]
        hit = [one for one in old if part in one.name or part in one.labels.values()]
        assert hit, part
        rows[dashboard, panel] = [
            Figure(one.name, one.labels, value, alarm=one.alarm) if one in hit else one for one in old
        ]
    return rows


def with_rows(rows: dict[Panel, list[Figure]], dashboard: str, panel: str, *new: Figure) -> dict[Panel, list[Figure]]:
    return {**rows, (dashboard, panel): [*rows.get((dashboard, panel), ()), *new]}


def code(name: str, place: tuple[str, str], value: float) -> Figure:
    return Figure(name, {"code": name, "provider": place[0], "region": place[1]}, value)


def said(now: dict[Panel, list[Figure]], before: dict[Panel, list[Figure]] = CALM) -> list[str]:
    seen = Seen({key: tuple(one) for key, one in before.items()}, {key: tuple(one) for key, one in now.items()})
    return [str(finding.answer) for finding in diagnose(seen)]


CODES = ("provider", "Top error codes")
CASES: dict[str, tuple[dict[Panel, list[Figure]], str]] = {
    "every call to a place fails, and what is slow there is a consequence": (
        changed(("provider", "Error rate", "anthropic", 1.0), ("provider", "Latency", "anthropic", 3.5)),
        "unreachable provider anthropic/ap-south-1",
    ),
    "one server finishes nothing, the other works for two": (
        changed(("local", "Requests finished", "a", 0.0), ("provider", "Error rate", "vllm", 0.33)),
        "unreachable server a",
    ),
    "streams break off": (
        with_rows(changed(("provider", "Error rate", "openai", 0.3)), *CODES, code("CONNECTION_FAILED", OPENAI, 4)),
        "cut-off provider openai/ap-south-1",
    ),
    "a share fails with an error of theirs": (
        with_rows(changed(("provider", "Error rate", "openai", 0.3)), *CODES, code("UPSTREAM_ERROR", OPENAI, 4)),
        "errors provider openai/ap-south-1",
    ),
    "429": (
        changed(("provider", "Throttled (429)", "openai", 0.1)),
        "throttled provider openai/ap-south-1",
    ),
    "an error that nobody knows, which counts as an error too": (
        with_rows(
            with_rows(changed(("provider", "Error rate", "vllm", 0.2)), *CODES, code("UPSTREAM_UNCLASSIFIED", VLLM, 2)),
            "provider",
            "Unclassified errors",
            Figure("vllm", {"provider": "vllm", "region": "mumbai-dc", "model": MODELS["vllm"]}, 9),
        ),
        "unclassified provider vllm/mumbai-dc",
    ),
    "answers of the wrong shape": (
        with_rows(CALM, *CODES, code("POSTCONDITION_FAILED", ANTHROPIC, 1.5)),
        "bad-answers provider anthropic/ap-south-1",
    ),
    "everything there takes longer": (
        changed(("provider", "Latency", "anthropic", 1.4), ("provider", "Time to first token", "anthropic", 1.0)),
        "slow provider anthropic/ap-south-1",
    ),
    "only streams are late": (
        changed(("provider", "Time to first token", "openai", 1.6)),
        "slow-streams provider openai/ap-south-1",
    ),
    "calls out of their zone": (
        with_rows(
            CALM, "compliance", "Violations by tenant", Figure("acme", {"tenant": "acme", "region": "us-east-1"}, 60)
        ),
        "wrong-region region us-east-1",
    ),
    "refusals of an alias, by whoever answers it": (
        changed(("alias", "Refusal rate", "chat", 0.2)),
        "refusals provider openai/ap-south-1",
    ),
    "longer answers of an alias": (
        changed(("alias", "Answer length", "summariser", 420)),
        "answer-length provider vllm/mumbai-dc",
    ),
    "shorter answers of an alias": (
        changed(("alias", "Answer length", "chat", 80)),
        "answer-length provider openai/ap-south-1",
    ),
    "a worse score": (changed(("alias", "Eval score", "chat", 0.7)), "eval-score alias chat"),
    "a queue before busy GPUs, and all that follows from it": (
        with_rows(
            changed(
                ("local", "Queue depth", "a", 40),
                ("local", "GPU utilisation", "host", 0.95),
                ("provider", "Latency", "vllm", 2.9),
                ("provider", "Error rate", "vllm", 1.0),
                ("cost", "By tenant", "acme", 60),
                ("tenant", "Tokens per second", "acme", 3000),
            ),
            *CODES,
            code("UPSTREAM_TIMEOUT", VLLM, 9),
        ),
        "overloaded provider vllm/mumbai-dc",
    ),
    "a full bucket": (changed(("tenant", "Quota buckets", "acme", 0.97)), "quota tenant acme"),
    "a tenant asks for more, and its alias is dearer with longer prompts": (
        changed(
            ("cost", "By tenant", "globex", 200),
            ("tenant", "Tokens per second", "globex", 9000),
            ("alias", "Cost per 1,000 calls", "smart-reasoner", 9.0),
        ),
        "spend tenant globex",
    ),
    "the same calls cost more": (
        changed(("alias", "Cost per 1,000 calls", "chat", 30.0), ("cost", "By tenant", "acme", 90)),
        "prices provider openai",
    ),
    "no gateway, and nothing else can be said": (
        {("home", "Gateway instances"): [Figure("healthy", {}, 0)]},
        "gateway-down gateway",
    ),
    "one gateway of two": (changed(("home", "Gateway instances", "healthy", 1)), "replica-missing gateway"),
    "some calls are not recorded": (changed(("home", "Audit completeness", "complete", 0.9)), "audit audit log"),
    "GPUs are not scraped": (
        changed(("health", "Scrape health", "tiercli-source-gpus", 0)),
        "unscraped metrics gpus",
    ),
    "servers are not scraped": (
        changed(("health", "Scrape health", "tiercli-servers", 0)),
        "unscraped metrics servers",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_panels_show_is_named(case: str) -> None:
    now, expected = CASES[case]
    assert said(now)[0] == expected


def test_every_kind_has_a_rule_and_a_case() -> None:
    assert {rule.kind for rule in RULES} == set(Kind)
    assert {expected.split()[0] for _, expected in CASES.values()} == {kind.value for kind in Kind}


def test_calm_panels_and_ordinary_chance_say_nothing() -> None:
    assert said(CALM) == []
    assert (
        said(
            changed(
                ("provider", "Error rate", "openai", 0.03),
                ("provider", "Latency", "anthropic", 0.5),
                ("alias", "Answer length", "chat", 230),
                ("cost", "By tenant", "acme", 26),
                ("home", "Audit completeness", "complete", 0.995),
            )
        )
        == []
    )


def test_what_was_there_before_is_not_what_is_wrong_now() -> None:
    violated = with_rows(
        CALM, "compliance", "Violations by tenant", Figure("acme", {"tenant": "acme", "region": "us-east-1"}, 60)
    )
    assert said(violated, before=violated) == []
    for now, _ in CASES.values():
        assert said(now, before=now) == []


def test_a_machine_that_is_busy_makes_all_slower_and_nobody_a_culprit() -> None:
    everywhere = [("provider", "Latency", provider, 1.0) for provider in MODELS]
    assert said(changed(*everywhere)) == []
    one_more = [*everywhere, ("provider", "Latency", "anthropic", 2.5)]
    assert said(changed(*one_more))[0] == "slow provider anthropic/ap-south-1"


def test_other_callers_have_other_answers_and_that_is_no_drift() -> None:
    assert said(changed(("alias", "Answer length", "chat", 400), ("alias", "Calls per minute", "chat", 1700))) == []


def test_longer_prompts_of_one_tenant_are_no_new_price() -> None:
    now = changed(("tenant", "Tokens per second", "acme", 9000), ("alias", "Cost per 1,000 calls", "chat", 8.0))
    assert said(now) == []


def test_a_tenant_that_was_not_among_the_dearest_is_named_when_it_is() -> None:
    tokens, dearest = ("tenant", "Tokens per second"), ("cost", "By tenant")
    before = with_rows(CALM, *tokens, Figure("small input", {"tenant": "small", "direction": "input"}, 10))
    now = with_rows(CALM, *tokens, Figure("small input", {"tenant": "small", "direction": "input"}, 30_000))
    assert said(with_rows(now, *dearest, Figure("small", {"tenant": "small"}, 90)), before) == ["spend tenant small"]


def test_servers_that_nobody_calls_any_more_are_not_gone() -> None:
    assert said(changed(("local", "Requests finished", "a", 0.0), ("local", "Requests finished", "b", 0.0))) == []


def test_late_first_tokens_of_a_place_where_everything_is_late_are_not_about_streams() -> None:
    late = (("provider", "Latency", "anthropic", 1.4), ("provider", "Time to first token", "anthropic", 1.0))
    assert said(changed(*late)) == ["slow provider anthropic/ap-south-1"]


def test_the_strongest_row_is_named_first_and_says_what_it_was() -> None:
    now = changed(("provider", "Throttled (429)", "openai", 0.1), ("provider", "Throttled (429)", "vllm", 0.3))
    assert said(now) == ["throttled provider vllm/mumbai-dc", "throttled provider openai/ap-south-1"]
    seen = Seen({key: tuple(one) for key, one in CALM.items()}, {key: tuple(one) for key, one in now.items()})
    assert diagnose(seen)[0].shown == (
        "provider / Throttled (429): vllm / mumbai-dc / llama-3.3-70b throttled 0.3, before 0",
    )


def test_names_that_look_like_something_else_stay_whole() -> None:
    labels = {"provider": "a/b p95", "region": 'x "y" p50', "model": "m errors"}
    rows = {("provider", "Error rate"): [Figure("a/b p95 / m errors errors", labels, 1.0)]}
    before = {("provider", "Error rate"): [Figure("a/b p95 / m errors errors", labels, 0.0)]}
    assert said(rows, before) == ['unreachable provider a/b p95/x "y" p50']


def test_rules_read_panels_that_the_dashboards_have_and_no_alert(hybrid: LoadedCatalog) -> None:
    boards = {
        path.rsplit("/", 1)[1].removesuffix(".json"): json.loads(text)
        for path, text in render_dashboards(hybrid.catalog).items()
    }
    for rule in RULES:
        for dashboard, title in rule.reads:
            assert title in load_boards(hybrid.catalog)[dashboard].panel_ids()
            panel = next(one for one in boards[dashboard]["panels"] if one["title"] == title)
            assert not any("ALERTS" in target["expr"] for target in panel["targets"])

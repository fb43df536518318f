"""Every mistake in a catalog is told at its place, with what is accepted and what was perhaps meant; all in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
import yaml

from tiercli.catalog.consistency import LAST_LATENCY_BUCKET_S
from tiercli.catalog.loading import Check, load_catalog, parse_catalog
from tiercli.catalog.model import Catalog
from tiercli.catalog.names import SHOWN_NAMES
from tiercli.errors import InvalidInput, Problem
from tiercli.lint.catalog_checks import further_checks
from tiercli.resources import resource_folder
from tiercli.rules.alarm_folders import alarm_paths
from tiercli.signals.bindings import binding_names
from tiercli.signals.contract import DURATION_BUCKETS

HYBRID = (resource_folder("catalogs") / "hybrid.yaml").read_text(encoding="utf-8")

Change = tuple[str, str]
# Those that the example has.
SECTIONS = [name for name in Catalog.model_fields if f"\n{name}:" in HYBRID]


def listed(names: Iterable[str]) -> str:
    """Accepted names as a message lists them."""
    ordered = sorted(names)
    return ", ".join(ordered[:SHOWN_NAMES]) + (", …" if len(ordered) > SHOWN_NAMES else "")


def changed(*changes: Change) -> str:
    """The hybrid catalog with each `old` replaced once by `new`; an `old` that is not there is a mistake of the test."""
    text = HYBRID
    for old, new in changes:
        assert old in text, f"{old!r} is not in the catalog"
        text = text.replace(old, new, 1)
    return text


def problems_of(text: str, checks: Sequence[Check] = further_checks()) -> list[str]:
    try:
        parse_catalog(text, "c", checks)
    except InvalidInput as error:
        return [str(problem) for problem in error.problems]
    return []


def place_of(text: str, needle: str, nth: int = 1) -> str:
    """line:column of the nth `needle`."""
    at = -1
    for _ in range(nth):
        at = text.index(needle, at + 1)
    return f"{text.count(chr(10), 0, at) + 1}:{at - text.rfind(chr(10), 0, at)}"


@pytest.mark.parametrize("path", sorted(resource_folder("catalogs").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_catalogs_that_come_with_tiercli_are_valid(path: Path) -> None:
    loaded, written = load_catalog(path, further_checks()), yaml.safe_load(path.read_text(encoding="utf-8"))
    assert loaded.catalog.estate == written["estate"]
    assert set(loaded.catalog.providers) == set(written["providers"])


PROMETHEUS_LINE = "prometheus: {scrape_interval"
ENDPOINTS = "environments: {staging: {endpoints: [%s]}}\n"
VLLM_A = "{provider: vllm, region: mumbai-dc, server: vllm-a, url: 'http://vllm-a:8000'}"


def with_endpoints(endpoints: str) -> list[Change]:
    """The change that gives the catalog an environment with these endpoints."""
    return [(PROMETHEUS_LINE, ENDPOINTS % endpoints + PROMETHEUS_LINE)]


# What is changed; where the problem is said to be (a text of the changed catalog, and which of them); what is said.
CASES: dict[str, tuple[list[Change], tuple[str, int], str]] = {
    "an unknown provider": (
        [("- {provider: openai, model: gpt-5-mini", "- {provider: opanai, model: gpt-5-mini")],
        ("opanai", 1),
        "unknown provider 'opanai' in alias 'chat'; did you mean 'openai'? (accepted: anthropic, openai, vllm)",
    ),
    "an unknown model": (
        [("model: gpt-5-mini, region", "model: gpt-5-mni, region")],
        ("gpt-5-mni", 1),
        "unknown model 'gpt-5-mni' of provider 'openai' in alias 'chat'; did you mean 'gpt-5-mini'? (accepted: gpt-5-mini)",
    ),
    "an unknown region": (
        [("model: gpt-5-mini, region: ap-south-1", "model: gpt-5-mini, region: us-east-1")],
        ("us-east-1}", 2),
        "unknown region 'us-east-1' of provider 'openai' in alias 'chat' (accepted: ap-south-1)",
    ),
    "a model that is not offered there": (
        [("claude-sonnet-4-6: {}", "claude-sonnet-4-6: {regions: [ap-south-1]}")],
        ("us-east-1}", 1),
        "model 'claude-sonnet-4-6' is not offered in 'us-east-1' of provider 'anthropic' in alias 'smart-reasoner' "
        "(accepted: ap-south-1)",
    ),
    "an offer in a region that the provider has not": (
        [("gpt-5-mini: {}", "gpt-5-mini: {regions: [ap-south-1, ap-suth-1]}")],
        ("ap-suth-1", 1),
        "unknown region 'ap-suth-1' in provider 'openai'; did you mean 'ap-south-1'? (accepted: ap-south-1)",
    ),
    "a model that is offered nowhere": (
        [("gpt-5-mini: {}", "gpt-5-mini: {regions: []}"), *[("openai, model: gpt-5-mini, region: ap-south-1", "anthropic, model: claude-sonnet-4-6, region: us-east-1")] * 2, ("aliases: [chat, summariser]", "aliases: []")],
        ("[]}", 1),
        "model 'gpt-5-mini' of provider 'openai' is offered nowhere "
        "(accepted: at least one region, or no `regions` for all of them)",
    ),
    "a server in an unknown region": (
        [("vllm-b: {region: mumbai-dc", "vllm-b: {region: mumbai")],
        ("mumbai, models", 1),
        "unknown region 'mumbai' in provider 'vllm'; did you mean 'mumbai-dc'? (accepted: mumbai-dc)",
    ),
    "a server of an unknown model": (
        [("vllm-b: {region: mumbai-dc, models: [llama-3.3-70b]", "vllm-b: {region: mumbai-dc, models: [llama-3.3-7b]")],
        ("llama-3.3-7b]", 1),
        "unknown model 'llama-3.3-7b' of server 'vllm-b'; did you mean 'llama-3.3-70b'? (accepted: llama-3.3-70b)",
    ),
    "two servers with one address": (
        [("vllm-b.internal:8000", "vllm-a.internal:8000")],
        ('"vllm-a.internal', 2),
        "vllm-a.internal:8000 is also the address of server 'vllm-a' (accepted: a different address for each server)",
    ),
    "a cloud provider with servers": (
        [("    models:\n      gpt-5-mini: {}\n", "    models:\n      gpt-5-mini: {}\n    servers: {x: {region: ap-south-1, models: [gpt-5-mini]}}\n")],
        ("servers: {x", 1),
        "cloud provider 'openai' has servers (accepted: servers only for tier: local)",
    ),
    "an unknown alias of a tenant": (
        [("aliases: [chat, summariser]", "aliases: [chat, sumariser]")],
        ("sumariser", 1),
        "unknown alias 'sumariser' of tenant 'acme-corp'; did you mean 'summariser'? "
        "(accepted: smart-reasoner, chat, summariser)",
    ),
    "an unknown zone": (
        [("zone: anywhere", "zone: anywere")],
        ("anywere", 1),
        "unknown zone 'anywere' of tenant 'globex-media'; did you mean 'anywhere'? (accepted: in-region-only, anywhere)",
    ),
    "an unknown region in a zone": (
        [("{regions: [ap-south-1, mumbai-dc]}", "{regions: [ap-south-1, mumbai-dc, eu]}")],
        ("eu]", 1),
        "unknown region 'eu' in zone 'in-region-only' (accepted: ap-south-1, us-east-1, mumbai-dc)",
    ),
    "a zone without regions": (
        [("  anywhere: {}", "  anywhere: {}\n  nowhere: {regions: []}")],
        ("[]}", 1),
        "zone 'nowhere' allows no region (accepted: at least one region, or no `regions` for anywhere)",
    ),
    "a candidate outside a caller's zone": (
        [("aliases: [chat, summariser]", "aliases: [chat, smart-reasoner]")],
        ("{provider: anthropic, model: claude-sonnet-4-6, region: us-east-1}", 1),
        "candidate 1 of alias 'smart-reasoner' (anthropic claude-sonnet-4-6) is in 'us-east-1', outside zone "
        "'in-region-only' of tenant 'acme-corp', which may call that alias "
        "(accepted: candidates in ap-south-1, mumbai-dc, or `aliases` of the tenant without it)",
    ),
    "no candidate inside a caller's zone that is enforced": (
        [
            ('targets: ["gateway-1.internal:9100"]', 'targets: ["gateway-1.internal:9100"]\n  zones: enforced'),
            ("in-region-only: {regions: [ap-south-1, mumbai-dc]}", "in-region-only: {regions: [us-east-1, mumbai-dc]}"),
            ("      - {provider: vllm, model: llama-3.3-70b, region: mumbai-dc}\n  summariser", "  summariser"),
        ],
        ("- {provider: openai, model: gpt-5-mini", 1),
        "no candidate of alias 'chat' is in zone 'in-region-only' of tenant 'acme-corp', which may call that alias: every "
        "call would be refused (accepted: a candidate in us-east-1, mumbai-dc, or `aliases` of the tenant without it)",
    ),
    "a way with zones that there is not": (
        [
            ('targets: ["gateway-1.internal:9100"]', 'targets: ["gateway-1.internal:9100"]\n  zones: enforce'),
            ("aliases: [chat, summariser]", "aliases: [chat, smart-reasoner]"),
        ],
        ("enforce", 1),
        "gateway.zones is 'enforce'; did you mean 'enforced'? (accepted: observed, enforced)",
    ),
    "a gateway that waits for nothing": (
        [('targets: ["gateway-1.internal:9100"]', 'targets: ["gateway-1.internal:9100"]\n  timeout_seconds: 0')],
        ("0\n\nsources", 1),
        "gateway.timeout_seconds is 0 (accepted: a number above 0)",
    ),
    "a gateway that waits longer than any load": (
        [('targets: ["gateway-1.internal:9100"]', 'targets: ["gateway-1.internal:9100"]\n  timeout_seconds: 30')],
        ("30\n\nsources", 1),
        "gateway.timeout_seconds is 30 (accepted: a number below 30)",
    ),
    "a candidate twice": (
        [("region: us-east-1}", "region: ap-south-1}")],
        ("{provider: anthropic", 2),
        "a repeated candidate in alias 'smart-reasoner' (accepted: each candidate once)",
    ),
    "an endpoint twice": (
        with_endpoints(f"{VLLM_A}, {VLLM_A}"),
        ("{provider: vllm, region: mumbai-dc, server", 2),
        "a repeated endpoint in environment 'staging' (accepted: each provider, region and server once)",
    ),
    "an endpoint's unknown server": (
        with_endpoints(VLLM_A.replace("vllm-a,", "vlm-a,")),
        ("vlm-a,", 1),
        "unknown server 'vlm-a' of provider 'vllm' in environment 'staging'; did you mean 'vllm-a'? "
        "(accepted: vllm-a, vllm-b)",
    ),
    "an endpoint's unknown region": (
        with_endpoints("{provider: anthropic, region: eu-west-1, url: 'https://api.anthropic.com'}"),
        ("eu-west-1", 1),
        "unknown region 'eu-west-1' of provider 'anthropic' in environment 'staging'; did you mean 'us-east-1'? "
        "(accepted: ap-south-1, us-east-1)",
    ),
    "an unknown provider behind Toxiproxy": (
        [
            (
                PROMETHEUS_LINE,
                "environments: {staging: {injectors: {toxiproxy: {url: 'http://t:8474', proxies: {a: "
                "{provider: opanai, region: ap-south-1}}}}}}\n" + PROMETHEUS_LINE,
            )
        ],
        ("opanai", 1),
        "unknown provider 'opanai' in environment 'staging'; did you mean 'openai'? (accepted: anthropic, openai, vllm)",
    ),
    "a feature twice": (
        [("[chat, headlines]", "[chat, headlines, chat]")],
        ("chat]", 1),
        "'chat' is repeated in features of tenant 'initech-news' (accepted: each once)",
    ),
    "a target twice": (
        [('["gateway-1.internal:9100"]', '["gateway-1.internal:9100", "gateway-1.internal:9100"]')],
        ('"gateway-1', 2),
        "'gateway-1.internal:9100' is repeated in targets of the gateway (accepted: each once)",
    ),
    "an unknown owner of a provider": (
        [("    owner: platform\n", "    owner: plattform\n")],
        ("plattform", 1),
        "unknown owner 'plattform' of provider 'anthropic'; did you mean 'platform'? (accepted: platform, content-ai)",
    ),
    "an unknown owner of an alias": (
        [("owner: content-ai", "owner: content")],
        ("content\n", 1),
        "unknown owner 'content' of alias 'smart-reasoner'; did you mean 'content-ai'? (accepted: platform, content-ai)",
    ),
    "an unknown owner of an alarm": (
        [("  ProviderLatencyHigh:\n", "  ProviderLatencyHigh:\n    owner: nobody\n")],
        ("nobody\n", 2),
        "unknown owner 'nobody' of alarm 'ProviderLatencyHigh' (accepted: platform, content-ai)",
    ),
    "an unknown owner of a budget": (
        [("{series: 5000, owner: platform", "{series: 5000, owner: finance")],
        ("finance,", 1),
        "unknown owner 'finance' of a series budget (accepted: platform, content-ai)",
    ),
    "an unknown receiver in the routing": (
        [("routing: {page: platform-pager", "routing: {page: platfrom-pager")],
        ("platfrom-pager", 1),
        "unknown receiver 'platfrom-pager' for page; did you mean 'platform-pager'? "
        "(accepted: platform-pager, platform-channel, content-ai-channel, dashboards, heartbeat)",
    ),
    "an unknown receiver of an owner": (
        [("notify: content-ai-channel}", "notify: content-channel}")],
        ("content-channel", 1),
        "unknown receiver 'content-channel' of owner 'content-ai'; did you mean 'content-ai-channel'? "
        "(accepted: platform-pager, platform-channel, content-ai-channel, dashboards, heartbeat)",
    ),
    "a cloud model without a price": (
        [("      gpt-5-mini: {}\n", "      gpt-5-mini: {}\n      gpt-5: {}\n")],
        ("gpt-5: {}", 1),
        "model 'gpt-5' of provider 'openai' has no price (accepted: an entry for it in price_book.models.openai)",
    ),
    "a price of an unknown model": (
        [("      gpt-5-mini: {input", "      gpt-5-nano: {input: 1, output: 1}\n      gpt-5-mini: {input")],
        ("gpt-5-nano", 1),
        "unknown model 'gpt-5-nano' of provider 'openai' in price_book; did you mean 'gpt-5-mini'? (accepted: gpt-5-mini)",
    ),
    "a price of an unknown provider": (
        [("  gpu_usd", "    mistral: {}\n  gpu_usd")],
        ("mistral", 1),
        "unknown provider 'mistral' in price_book (accepted: anthropic, openai, vllm)",
    ),
    "a local tier without a price": (
        [("  gpu_usd_per_hour: 2.40\n", "")],
        ('version: "2026', 1),
        "local provider 'vllm' has no price (accepted: gpu_usd_per_hour, which is spread over the tokens that it serves)",
    ),
    "a budget above the total": (
        [("{series: 250,", "{series: 6000,")],
        ("6000", 1),
        "the budget of ai_gateway_request_duration_seconds, 6000 series, is above the total of 5000 "
        "(accepted: at most 5000)",
    ),
    "an unknown time zone": (
        [("Asia/Kolkata", "Asia/Kolkatta")],
        ("Asia/Kolkatta", 1),
        "unknown time zone 'Asia/Kolkatta'; did you mean 'Asia/Kolkata'? "
        "(accepted: an IANA time zone, such as UTC or Asia/Kolkata)",
    ),
    "a p95 below the median": (
        [("p50_seconds: 0.46, p95_seconds: 0.70", "p50_seconds: 0.46, p95_seconds: 0.4")],
        ("0.4,", 1),
        "p95_seconds 0.4 is below p50_seconds 0.46 (accepted: a p95 of at least the median)",
    ),
    "a p95 that no bucket can show": (
        [("p95_seconds: 0.70", "p95_seconds: 121")],
        ("121", 1),
        "p95_seconds 121 is above the last finite bucket: it cannot be measured (accepted: at most 120)",
    ),
    "two names that differ in case": (
        [("  globex-media:", "  Acme-Corp: {features: [chat], budget_usd_per_month: 1, zone: anywhere}\n  globex-media:")],
        ("Acme-Corp", 1),
        "'Acme-Corp' and 'acme-corp' differ only in case or encoding "
        "(accepted: names that cannot be confused)",
    ),
    "two names that differ in normalisation": (
        [("  anywhere: {}", "  anywhere: {}\n  \"caf\\u00e9\": {}\n  \"cafe\\u0301\": {}")],
        ('"cafe\\u0301"', 1),
        "'cafe\u0301' and 'caf\u00e9' differ only in case or encoding "
        "(accepted: names that cannot be confused)",
    ),
    "an override of an unknown provider": (
        [("{provider: vllm, thresholds", "{provider: vlm, thresholds")],
        ("vlm,", 1),
        "unknown provider 'vlm' in an override of ProviderLatencyHigh; did you mean 'vllm'? "
        "(accepted: anthropic, openai, vllm)",
    ),
    "an override of a region of another provider": (
        [("{provider: vllm, thresholds", "{provider: vllm, region: us-east-1, thresholds")],
        ("us-east-1, thresholds", 1),
        "unknown region 'us-east-1' of provider 'vllm' in an override of ProviderLatencyHigh (accepted: mumbai-dc)",
    ),
    "an override for nothing": (
        [("{provider: vllm, thresholds", "{thresholds")],
        ("{thresholds: {min_seconds", 1),
        "an override of ProviderLatencyHigh without labels "
        "(accepted: at least one of provider, region, model, alias, tenant)",
    ),
    "an override of what no provider offers": (
        [("{provider: vllm, thresholds", "{region: mumbai-dc, model: gpt-5-mini, thresholds")],
        ("{region: mumbai-dc, model: gpt", 1),
        "an override of ProviderLatencyHigh that matches nothing: no model is offered with region 'mumbai-dc' and model "
        "'gpt-5-mini' (accepted: labels of models that the catalog's providers offer)",
    ),
    "two equally specific overrides": (
        [("    overrides:\n", "    overrides:\n      - {region: mumbai-dc, thresholds: {min_seconds: 2}}\n")],
        ("{provider: vllm, thresholds", 1),
        "vllm llama-3.3-70b mumbai-dc has two equally specific overrides of min_seconds of ProviderLatencyHigh "
        "(accepted: more labels (provider, region, model, alias, tenant) in one of them)",
    ),
    "an unknown alarm": (
        [("  CloudErrorRateHigh:", "  CloudErorRateHigh:")],
        ("CloudErorRateHigh", 1),
        "unknown alarm 'CloudErorRateHigh'; did you mean 'CloudErrorRateHigh'? "
        f"(accepted: {listed(alarm_paths())})",
    ),
    "an unknown source binding": (
        [("binding: native", "binding: nativ")],
        ("nativ\n", 1),
        f"unknown source binding 'nativ'; did you mean 'native'? (accepted: {listed(binding_names())})",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "where", "message"), CASES.values(), ids=CASES)
def test_one_mistake_is_one_problem_at_its_place(changes: list[Change], where: tuple[str, int], message: str) -> None:
    text = changed(*changes)
    assert problems_of(text) == [f"c:{place_of(text, *where)}: {message}"]


def test_candidates_outside_a_zone_that_the_gateway_enforces_are_no_mistake() -> None:
    reaching = ("aliases: [chat, summariser]", "aliases: [chat, smart-reasoner]")
    targets = 'targets: ["gateway-1.internal:9100"]'
    assert problems_of(changed(reaching, (targets, f"{targets}\n  zones: enforced"))) == []
    assert len(problems_of(changed(reaching, (targets, f"{targets}\n  zones: observed")))) == 1


def test_a_budget_of_an_unknown_metric_is_told_with_the_metric_that_was_meant() -> None:
    text = changed(("ai_gateway_cost_usd_total:", "ai_gateway_cost_total:"))
    [problem] = problems_of(text)
    start = f"c:{place_of(text, 'ai_gateway_cost_total')}: unknown metric 'ai_gateway_cost_total' in cardinality"
    assert problem.startswith(f"{start}; did you mean 'ai_gateway_cost_usd_total'?")


def test_problems_of_form_shape_and_reference_are_told_in_one_pass() -> None:
    text = changed(
        ("estate: content-company\n", "estate: content-company\nestate: again\n"),  # form
        ("tier: cloud\n    owner: platform\n    regions:   #", "tier: clowd\n    owner: platform\n    regions:   #"),
        ("budget_usd_per_month: 40000", "budget_usd_per_month: plenty"),  # shape, in an entry
        ("gateway:\n  binding: native", "gateway:\n  bindin: native"),  # shape, in a section
        ("series: 5000", "series: many"),
        ("{provider: anthropic, model: claude-sonnet-4-6, region: ap-south-1}\n      - {provider: vllm", "{provider: antropic, model: x, region: y}\n      - {provider: vllm"),
        ("zone: in-region-only", "zone: in-region"),
        ("  CloudErrorRateHigh:", "  CloudErrorHigh:"),
    )  # fmt: skip
    # An entry that is itself wrong (anthropic, globex-media) still declares its name.
    assert [problem.partition(": ")[2].partition(" (accepted")[0] for problem in problems_of(text)] == [
        "duplicate key 'estate', first on line 4",
        "providers.anthropic.tier is 'clowd'; did you mean 'cloud'?",
        "unknown provider 'antropic' in alias 'chat'; did you mean 'anthropic'?",
        "unknown zone 'in-region' of tenant 'acme-corp'; did you mean 'in-region-only'?",
        "tenants.globex-media.budget_usd_per_month is 'plenty'",
        "'binding' is missing in gateway",
        "unknown key 'bindin' in gateway; did you mean 'binding'?",
        "unknown alarm 'CloudErrorHigh'; did you mean 'CloudErrorRateHigh'?",
        "cardinality.total.series is 'many'",
    ]


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("value", ["5", "[]", "[1]", "{}", "x", "~", "{x: 1}"])
def test_a_section_of_any_other_shape_hides_no_other_problem(section: str, value: str) -> None:
    document = changed(
        ("zone: in-region-only", "zone: nowhere"), ("owner: platform\n    regions:   #", "owner: x\n    regions:   #")
    )
    lines = document.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(f"{section}:"))
    end = next((at for at in range(start + 1, len(lines)) if lines[at][:1].strip() not in ("", "#")), len(lines))
    message = "\n".join(problems_of("\n".join([*lines[:start], f"{section}: {value}", *lines[end:]]), ()))
    if section not in ("tenants", "zones"):
        assert "unknown zone 'nowhere' of tenant 'acme-corp'" in message
    if section not in ("providers", "owners"):
        assert "unknown owner 'x' of provider 'anthropic'" in message
    if section not in ("receivers", "routing"):
        assert "unknown receiver" not in message


@pytest.mark.parametrize("section", SECTIONS)
def test_the_later_stages_bear_a_catalog_without_a_section(section: str) -> None:
    lines = HYBRID.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(f"{section}:"))
    end = next((at for at in range(start + 1, len(lines)) if lines[at][:1].strip() not in ("", "#")), len(lines))
    problems = problems_of("\n".join([*lines[:start], *lines[end:]]))
    optional = not Catalog.model_fields[section].is_required()
    assert (f"'{section}' is missing" in "\n".join(problems)) is not optional


def test_names_of_a_section_that_cannot_be_read_are_not_called_unknown() -> None:
    text = changed(("\nproviders:\n", "\nprovidrs:\n"))
    problems = problems_of(text)
    assert [problem.partition(": ")[2].partition(" (acc")[0] for problem in problems] == [
        "'providers' is missing",
        "unknown key 'providrs'; did you mean 'providers'?",
    ]


def test_the_last_bucket_is_that_of_the_contract() -> None:
    assert max(DURATION_BUCKETS) == LAST_LATENCY_BUCKET_S


def test_a_place_of_the_catalog_can_be_named_later() -> None:
    loaded = parse_catalog(HYBRID, "c")
    problem = loaded.problem(("alarms", "CloudErrorRateHigh"), "found", "accepted", "meant", key=True)
    assert isinstance(problem, Problem)
    assert (
        str(problem) == f"c:{place_of(HYBRID, 'CloudErrorRateHigh')}: found; did you mean 'meant'? (accepted: accepted)"
    )


def test_ten_thousand_tenants_of_thirty_features_are_checked() -> None:
    features = ", ".join(f"f{n}" for n in range(30))
    more = "".join(
        f"  t{n}: {{features: [{features}], aliases: [chat], budget_usd_per_month: 1, zone: anywhere}}\n" for n in range(10_000)
    )  # fmt: skip
    loaded = parse_catalog(changed(("  acme-corp:\n", f"{more}  acme-corp:\n")), "c")
    assert len(loaded.catalog.tenants) == 10_004

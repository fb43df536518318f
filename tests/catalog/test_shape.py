"""Values of the wrong shape, in an operator's words, and never with a secret in them."""

from __future__ import annotations

import pytest

from tiercli.catalog.loading import parse_catalog
from tiercli.errors import InvalidInput
from tiercli.resources import resource_folder

HYBRID = (resource_folder("catalogs") / "hybrid.yaml").read_text(encoding="utf-8")

PLAIN = "letters (A to Z), digits, dots, dashes and underscores, beginning with a letter or digit, at most 63"
CASES = {
    "a near miss of a literal": (
        "tier: cloud",
        "tier: clud",
        "providers.anthropic.tier is 'clud'; did you mean 'cloud'? (accepted: local, cloud)",
    ),
    "a version that is not known": ("version: 1", "version: 2", "version is 2 (accepted: 1)"),
    "a version in quotes": ("version: 1", 'version: "1"', "version is '1' (accepted: 1)"),
    "a version of 1.0": ("version: 1\n", "version: 1.5\n", "version is 1.5 (accepted: 1)"),
    "a number as text": (
        "estate: content-company",
        "estate: 2026",
        "estate is 2026 (accepted: text: put it in quotes)",
    ),
    "a plain name with a space": (
        "estate: content-company",
        'estate: "a b"',
        f"estate is 'a b' (accepted: {PLAIN})",
    ),
    "a plain name with a line break at its end": (
        "estate: content-company",
        'estate: "a\\n"',
        f"estate is 'a\\n' (accepted: {PLAIN})",
    ),
    "text as a number": (
        "p50_seconds: 0.46",
        'p50_seconds: "0.46"',
        "providers.anthropic.regions.ap-south-1.typical.p50_seconds is '0.46' (accepted: a number)",
    ),
    "true as a number": (
        "p50_seconds: 0.46",
        "p50_seconds: true",
        "providers.anthropic.regions.ap-south-1.typical.p50_seconds is true (accepted: a number)",
    ),
    "infinity as a number": (
        "budget_usd_per_month: 90000",
        "budget_usd_per_month: .inf",
        "tenants.acme-corp.budget_usd_per_month is '.inf' (accepted: a number)",
    ),
    "nothing where a number should be": (
        "budget_usd_per_month: 90000",
        "budget_usd_per_month:",
        "tenants.acme-corp.budget_usd_per_month is empty (accepted: a number)",
    ),
    "a ratio above its bound": (
        "error_ratio: 0.002",
        "error_ratio: 2",
        "providers.anthropic.regions.ap-south-1.typical.error_ratio is 2 (accepted: a number below 1)",
    ),
    "a negative budget": (
        "budget_usd_per_month: 90000",
        "budget_usd_per_month: -4",
        "tenants.acme-corp.budget_usd_per_month is -4 (accepted: a number above 0)",
    ),
    "half a series": (
        "series: 5000",
        "series: 5000.5",
        "cardinality.total.series is 5000.5 (accepted: a whole number)",
    ),
    "text where a list should be": (
        "[chat, summary, search]",
        "chat",
        "tenants.acme-corp.features is 'chat' (accepted: a list)",
    ),
    "an empty list": (
        "[chat, summary, search]",
        "[]",
        "tenants.acme-corp.features is an empty list (accepted: at least 1)",
    ),
    "a mapping in a list of text": (
        "[chat, summary, search]",
        "[chat, {a: 1}]",
        "tenants.acme-corp.features[1] is a mapping (accepted: text)",
    ),
    "a wordy duration": (
        "group_wait: 10s",
        "group_wait: 10 seconds",
        "alertmanager.group_wait: '10 seconds' is not a duration such as 30s, 5m or 1h30m",
    ),
    "an interval of nothing": (
        "scrape_interval: 10s",
        "scrape_interval: 0s",
        "prometheus.scrape_interval: '0s' is not longer than 0s",
    ),
    "a duration of centuries": (
        "repeat_interval: 4h",
        "repeat_interval: 400y",
        "alertmanager.repeat_interval: '400y' is longer than a year",
    ),
    "a name that begins with a space": (
        "  acme-corp:",
        '  " acme-corp":',
        "the name ' acme-corp': a name cannot begin or end with a space",
    ),
    "a name with a line break": (
        "  acme-corp:",
        '  "acme\\ncorp":',
        "the name 'acme\\ncorp': a name cannot hold a control character or a line break",
    ),
    "a name with a line break of Unicode": (
        "  acme-corp:",
        '  "acme\\u0085corp":',
        "the name 'acme\\x85corp': a name cannot hold a control character or a line break",
    ),
    "an empty name": ("  acme-corp:", '  "":', "an empty name (accepted: text of at least 1 characters)"),
    "a name of a thousand letters": (
        "  acme-corp:",
        f"  {'x' * 1000}:",
        f"the name '{'x' * 56}… is not accepted (accepted: text of at most 200 characters)",
    ),
    "a target whose port is none": (
        '"gateway-1.internal:9100"',
        '"gateway-1.internal:65536"',
        "gateway.targets[0]: 65536 is not a port: the highest is 65535",
    ),
    "a target with a scheme": (
        '"gateway-1.internal:9100"',
        '"http://gateway-1:9100/metrics"',
        "gateway.targets[0] is 'http://gateway-1:9100/metrics' (accepted: host:port, such as gateway-1.internal:9100)",
    ),
    "a target with credentials": (
        '"gateway-1.internal:9100"',
        '"http://user:hunter2@gateway-1:9100"',
        "gateway.targets[0] is 'http://…@gateway-1:9100' (accepted: host:port, such as gateway-1.internal:9100)",
    ),
    "a near miss of a key": (
        "binding: native",
        "binding: native\n  pth: /metrics",
        "unknown key 'pth' in gateway; did you mean 'path'? (accepted: binding, targets, path, scheme, deployments, signals, zones, timeout_seconds)",
    ),
    "a key with an alias of its own": (
        "    thresholds: {max_ratio: 0.05}",
        "    thresholds: {max_ratio: 0.05}\n    for_: 5m",
        "unknown key 'for_' in alarms.CloudErrorRateHigh; did you mean 'for'? "
        "(accepted: severity, owner, for, thresholds, overrides)",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), CASES.values(), ids=CASES)
def test_a_wrong_value_is_told_with_what_is_accepted(old: str, new: str, message: str) -> None:
    assert old in HYBRID
    with pytest.raises(InvalidInput) as caught:
        parse_catalog(HYBRID.replace(old, new, 1), "c")
    assert message in [str(problem).partition(": ")[2] for problem in caught.value.problems]


@pytest.mark.parametrize("address", ["0.0.0.0:99999", "[::1]:70000", "host:65536"])
def test_an_address_of_an_environment_whose_port_is_none_is_told_at_its_line(address: str) -> None:
    """The ports that tiercli itself listens on: nobody else would say so before it tried."""
    lines = [
        "environments:",
        "  staging:",
        f"    webhook: '{address}'",
        "    endpoints:",
        f"      - {{provider: anthropic, region: ap-south-1, url: 'http://x', listen: '{address}'}}",
    ]
    begin = len(HYBRID.splitlines())
    with pytest.raises(InvalidInput) as caught:
        parse_catalog("\n".join([HYBRID.rstrip("\n"), *lines, ""]), "c")
    port = address.rpartition(":")[2]
    message = {problem.location.line - begin: problem.found for problem in caught.value.problems}
    assert message == {
        3: f"environments.staging.webhook: {port} is not a port: the highest is 65535",
        5: f"environments.staging.endpoints[0].listen: {port} is not a port: the highest is 65535",
    }


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://prometheus:99999", "has no valid port: the highest is 65535"),
        ("http://prometheus:nine", "has no valid port"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("https://:9090", "has no host"),
    ],
)
def test_a_url_of_an_environment_that_cannot_be_asked_is_told_at_its_line(url: str, message: str) -> None:
    lines = ["environments:", "  staging:", f"    prometheus: {{url: '{url}'}}", ""]
    with pytest.raises(InvalidInput) as caught:
        parse_catalog("\n".join([HYBRID.rstrip("\n"), *lines]), "c")
    [problem] = caught.value.problems
    assert problem.location.line == len(HYBRID.splitlines()) + 3
    assert message in problem.found


def test_the_highest_port_is_one() -> None:
    text = HYBRID.replace('"gateway-1.internal:9100"', '"gateway-1.internal:65535"', 1)
    assert "gateway-1.internal:65535" in parse_catalog(text, "c").catalog.gateway.targets


def test_no_value_of_a_receiver_is_quoted() -> None:
    secret = "https://hooks.example.com/services/T0/B0/hunter2"
    text = HYBRID.replace("{pagerduty: {routing_key_file: /etc/alertmanager/secrets/pagerduty}}", f'"{secret}"')
    text = text.replace("http://heartbeat.internal:8080/tiercli", "http://user:hunter2@heartbeat.internal")
    text = text.replace("credentials_file: /etc/alertmanager/secrets/heartbeat", "credentials: hunter2")
    with pytest.raises(InvalidInput) as caught:
        parse_catalog(text, "c")
    message = "\n".join(map(str, caught.value.problems))
    assert "hunter2" not in message
    assert message.count("receivers.") == 3

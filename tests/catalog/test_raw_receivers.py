"""No secret can stand in a catalog: what `raw` may hold, and what the other receivers refuse."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.catalog.test_catalog_validation import HYBRID, place_of
from tiercli.catalog.loading import parse_catalog
from tiercli.errors import InvalidInput

PLACED = "a key that ends in _file, with a file where Alertmanager runs"

# What stands under `raw`; the secret, or what is told of; what looks like one.
SECRETS = {
    "a key": ("opsgenie_configs: [{api_key: hunter2}]", "api_key"),
    "a number": ("opsgenie_configs: [{api_key: 12345}]", "api_key"),
    "a token": ("rocketchat_configs: [{token_id: hunter2}]", "token_id"),
    "a password of a login": ("webhook_configs: [{http_config: {basic_auth: {username: u, password: hunter2}}}]", "password"),
    "a bearer token": ("webhook_configs: [{http_config: {authorization: {type: Bearer, credentials: hunter2}}}]", "credentials"),
    "a header": ("webhook_configs: [{http_config: {http_headers: {X-Auth-Token: {values: [hunter2]}}}}]", "X-Auth-Token"),
    "a header's secrets": ("webhook_configs: [{http_config: {http_headers: {X-A: {secrets: [hunter2]}}}}]", "secrets"),
    "Slack's URL": ("slack_configs: [{api_url: 'https://slack/hunter2'}]", "api_url"),
    "Discord's URL": ("discord_configs: [{webhook_url: 'https://discord/hunter2'}]", "webhook_url"),
    "PagerDuty's routing key": ("pagerduty_configs: [{routing_key: hunter2}]", "routing_key"),
    "user and password in a URL": ("webhook_configs: [{url: 'https://u:hunter2@h/'}]", "the URL in url"),
    "a key in a query": ("webhook_configs: [{url: 'https://h/?x=1&api_key=hunter2'}]", "the URL in url"),
    "a URL that is a secret": ("webhook_configs: [{url: 'https://hooks.slack.com/services/hunter2'}]", "the URL in url"),
}  # fmt: skip
NO_SECRETS = {
    "a file": "opsgenie_configs: [{api_key_file: /x}]",
    "files of a header": "webhook_configs: [{http_config: {http_headers: {X-Auth-Token: {files: [/x]}}}}]",
    "a bearer token's file": "webhook_configs: [{http_config: {authorization: {type: Bearer, credentials_file: /x}}}]",
    "a routing key of VictorOps": "victorops_configs: [{api_key_file: /x, routing_key: llm}]",
    "what the alert says": "pagerduty_configs: [{routing_key: '{{ .CommonLabels.pager_key }}'}]",
    "a plain URL": "webhook_configs: [{url: 'https://h/a/b?team=llm'}]",
    "a URL of an API": "opsgenie_configs: [{api_url: 'https://api.eu.opsgenie.com/', api_key_file: /x}]",
}


def with_raw(raw: str) -> str:
    return HYBRID.replace("\nreceivers:\n", f"\nreceivers:\n  extra: {{raw: {{{raw}}}}}\n")


def problems_of(text: str) -> list[str]:
    try:
        parse_catalog(text, "c")
    except InvalidInput as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize(("raw", "found"), SECRETS.values(), ids=SECRETS)
def test_a_secret_in_raw_is_refused_at_its_place_and_not_quoted(raw: str, found: str) -> None:
    text = with_raw(raw)
    [problem] = problems_of(text)
    value = next(word for word in ("'https", "hunter2", "12345") if word in raw)
    start = f"c:{place_of(text, value)}: "
    assert problem == f"{start}{found} of {raw.partition(':')[0]} looks like a secret (accepted: {PLACED})"


@pytest.mark.parametrize("raw", NO_SECRETS.values(), ids=NO_SECRETS)
def test_what_is_no_secret_may_stay(raw: str) -> None:
    assert problems_of(with_raw(raw)) == []


@pytest.mark.parametrize(
    ("receiver", "at", "said"),
    [
        pytest.param("{raw: {victorops: [{}]}}", "victorops", "the name text is not accepted (accepted: a list of integrations by its name in Alertmanager, such as victorops_configs)", id="a list by another name"),
        pytest.param("{raw: {sns_configs: {}}}", "{}", "receivers.x.raw.sns_configs is an empty mapping (accepted: a list)", id="no list"),
        pytest.param("{opsgenie: {api_key: hunter2}}", "{api_key", "'api_key_file' is missing in receivers.x.opsgenie", id="a key in place of its file"),
        pytest.param("{telegram: {bot_token_file: /x, chat_id: '#x'}}", "'#x", "receivers.x.telegram.chat_id is text (accepted: a whole number)", id="a chat's name"),
        pytest.param("{email: {to: ops, from: a@b.c, smarthost: 'm:25'}}", "ops", "receivers.x.email.to is text (accepted: an address of email)", id="no address"),
        pytest.param("{email: {to: o@b.c, from: a@b.c, smarthost: 'm:25', auth_username: u}}", "{to", "receivers.x.email: auth_username and auth_password_file belong together", id="half a login"),
        pytest.param("{opsgenie: {api_key_file: /x, api_url: 'https://u:hunter2@h/'}}", "'https://u", "receivers.x.opsgenie.api_url is text (accepted: an http or https URL without credentials, query or trailing slash)", id="a login in a URL"),
    ],
)  # fmt: skip
def test_what_a_receiver_cannot_be(receiver: str, at: str, said: str) -> None:
    text = HYBRID.replace("\nreceivers:\n", f"\nreceivers:\n  x: {receiver}\n")
    problems = problems_of(text)
    assert f"c:{place_of(text, at)}: {said}" in problems
    assert not any("hunter2" in problem for problem in problems)


def test_raw_stays_in_the_catalog_as_it_was() -> None:
    written: Any = {"sns_configs": [{"topic_arn": "a", "attributes": {"n": "1"}, "list": [1, 2.5, True]}]}
    loaded = parse_catalog(with_raw(yaml.safe_dump(written, default_flow_style=True).strip()[1:-1]), "c")
    assert loaded.catalog.model_dump(mode="json")["receivers"]["extra"]["raw"] == written

"""Alertmanager's configuration as an AlertmanagerConfig: the same routes, receivers and inhibitions under other keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from tiercli.conventions import ENV_LABEL, ESTATE_LABEL
from tiercli.output.wrappers.interface import WrapOptions
from tiercli.output.wrappers.objects import Object, build_object, object_name

_KEY = re.compile(r"[^A-Za-z0-9._-]")
_MATCHER = re.compile(r'^(?P<name>\w+)(?P<type>=~|!~|!=|=)"(?P<value>.*)"$', re.DOTALL)


def build_alertmanager_config(config: Mapping[str, Any], options: WrapOptions) -> Object:
    """An AlertmanagerConfig of a whole Alertmanager configuration. Its route matches this estate and environment, since
    other alerts of the namespace pass through it too."""
    top = dict(config["route"])
    top["matchers"] = [f'{ESTATE_LABEL}="{options.estate}"', f'{ENV_LABEL}="{options.env}"', *top.get("matchers", ())]
    references = {file: {"name": secret_name(options), "key": key} for key, file in secret_keys(config).items()}
    spec = {
        "route": _route(top),
        "receivers": [_receiver(one, references) for one in config["receivers"]],
        "inhibitRules": [
            {
                "sourceMatch": [_matcher(one) for one in rule["source_matchers"]],
                "targetMatch": [_matcher(one) for one in rule["target_matchers"]],
                "equal": rule["equal"],
            }
            for rule in config.get("inhibit_rules", ())
        ],
    }
    name = object_name(options, "routing")
    return build_object(options, "monitoring.coreos.com/v1alpha1", "AlertmanagerConfig", name, {"spec": spec})


def secret_name(options: WrapOptions) -> str:
    """The Secret that holds what the receivers need."""
    return options.secret or object_name(options, "receivers")


def secret_keys(config: Mapping[str, Any]) -> dict[str, str]:
    """The keys of that Secret, and the file that each stands for: a file's name, in the characters that a key may have, with
    the folders before it where two have one name."""
    files = [
        value
        for receiver in config["receivers"]
        for integration in ("webhook_configs", "slack_configs", "pagerduty_configs")
        for one in receiver.get(integration, ())
        for value in (
            one.get("api_url_file"),
            one.get("routing_key_file"),
            one.get("http_config", {}).get("authorization", {}).get("credentials_file"),
        )
        if value is not None
    ]
    keys: dict[str, str] = {}
    for path in dict.fromkeys(files):
        parts = PurePosixPath(path).parts
        names = ["-".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        key = next(key for name in names if keys.get(key := _KEY.sub("_", name), path) == path)
        keys[key] = path
    return keys


def _route(route: Mapping[str, Any]) -> Object:
    built: Object = {}
    for key, theirs in (
        ("receiver", "receiver"),
        ("group_by", "groupBy"),
        ("group_wait", "groupWait"),
        ("group_interval", "groupInterval"),
        ("repeat_interval", "repeatInterval"),
        ("continue", "continue"),
    ):
        if key in route:
            built[theirs] = route[key]
    if "matchers" in route:
        built["matchers"] = [_matcher(one) for one in route["matchers"]]
    if "routes" in route:
        built["routes"] = [_route(one) for one in route["routes"]]
    return built


def _matcher(text: str) -> Object:
    match = _MATCHER.match(text)
    if match is None:
        raise ValueError(f"not a matcher: {text!r}")
    return {"name": match["name"], "value": match["value"], "matchType": match["type"]}


def _receiver(receiver: Mapping[str, Any], references: Mapping[str, Object]) -> Object:
    built: Object = {"name": receiver["name"]}
    if "webhook_configs" in receiver:
        built["webhookConfigs"] = [_webhook(one, references) for one in receiver["webhook_configs"]]
    if "slack_configs" in receiver:
        built["slackConfigs"] = [
            {
                "apiURL": references[one["api_url_file"]],
                "channel": one["channel"],
                "sendResolved": one["send_resolved"],
                "title": one["title"],
                "titleLink": one["title_link"],
                "text": one["text"],
            }
            for one in receiver["slack_configs"]
        ]
    if "pagerduty_configs" in receiver:
        built["pagerdutyConfigs"] = [
            {
                "routingKey": references[one["routing_key_file"]],
                "sendResolved": one["send_resolved"],
                "description": one["description"],
                "details": [{"key": key, "value": value} for key, value in one["details"].items()],
            }
            for one in receiver["pagerduty_configs"]
        ]
    return built


def _webhook(config: Mapping[str, Any], references: Mapping[str, Object]) -> Object:
    built: Object = {"url": config["url"], "sendResolved": config["send_resolved"]}
    if "http_config" in config:
        file = config["http_config"]["authorization"]["credentials_file"]
        built["httpConfig"] = {"authorization": {"type": "Bearer", "credentials": references[file]}}
    return built

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
    """An AlertmanagerConfig of a whole Alertmanager configuration. Its route matches this estate and environment, because
    other alerts of the namespace pass through it too."""
    top = dict(config["route"])
    top["matchers"] = [f'{ESTATE_LABEL}="{options.estate}"', f'{ENV_LABEL}="{options.env}"', *top.get("matchers", ())]
    references = {file: {"name": secret_name(options), "key": key} for key, file in secret_keys(config).items()}
    spec = {
        "route": _route(top),
        "receivers": [_receiver(receiver, references) for receiver in config["receivers"]],
        "inhibitRules": [
            {
                "sourceMatch": [_matcher(text) for text in rule["source_matchers"]],
                "targetMatch": [_matcher(text) for text in rule["target_matchers"]],
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
    """The keys of that Secret, each with the file that it replaces: the file's name in the characters that a key can have, with
    its folders where two files have the same name."""
    files = [
        value
        for receiver in config["receivers"]
        for integration in ("webhook_configs", "slack_configs", "pagerduty_configs")
        for settings in receiver.get(integration, ())
        for value in (
            settings.get("api_url_file"),
            settings.get("routing_key_file"),
            settings.get("http_config", {}).get("authorization", {}).get("credentials_file"),
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
    built = _renamed({key: value for key, value in route.items() if key not in ("matchers", "routes")}, {})
    if "matchers" in route:
        built["matchers"] = [_matcher(text) for text in route["matchers"]]
    if "routes" in route:
        built["routes"] = [_route(inner) for inner in route["routes"]]
    return built


def _matcher(text: str) -> Object:
    match = _MATCHER.match(text)
    if match is None:
        raise ValueError(f"not a matcher: {text!r}")
    return {"name": match["name"], "value": match["value"], "matchType": match["type"]}


def _receiver(receiver: Mapping[str, Any], references: Mapping[str, Object]) -> Object:
    built: Object = {"name": receiver["name"]}
    for integration, build in (
        ("webhook_configs", _webhook),
        ("slack_configs", _renamed),
        ("pagerduty_configs", _pagerduty),
    ):
        if integration in receiver:
            built[_camel(integration)] = [build(config, references) for config in receiver[integration]]
    return built


def _webhook(config: Mapping[str, Any], references: Mapping[str, Object]) -> Object:
    built = _renamed({key: value for key, value in config.items() if key != "http_config"}, references)
    if "http_config" in config:
        file = config["http_config"]["authorization"]["credentials_file"]
        built["httpConfig"] = {"authorization": {"type": "Bearer", "credentials": references[file]}}
    return built


def _pagerduty(config: Mapping[str, Any], references: Mapping[str, Object]) -> Object:
    details = [{"key": key, "value": value} for key, value in config["details"].items()]
    return _renamed(config, references) | {"details": details}


def _renamed(config: Mapping[str, Any], references: Mapping[str, Object]) -> Object:
    """`config` under the operator's keys; a file that holds a secret becomes the reference to its key."""
    return {
        _camel(key.removesuffix("_file")): references[value] if key.endswith("_file") else value
        for key, value in config.items()
    }


def _camel(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join("URL" if part == "url" else part.capitalize() for part in others)

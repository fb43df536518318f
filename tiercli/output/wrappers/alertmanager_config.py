"""Alertmanager's configuration as an AlertmanagerConfig: the same routes, receivers and inhibitions under other keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from tiercli.conventions import ENV_LABEL, ESTATE_LABEL
from tiercli.output.wrappers.interface import WrapOptions
from tiercli.output.wrappers.objects import Object, build_object, object_name

_KEY = re.compile(r"[^A-Za-z0-9._-]")
_UPPER = {"url", "id", "tls"}
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
    files = [file for receiver in config["receivers"] for file in _files(receiver)]
    keys: dict[str, str] = {}
    for path in dict.fromkeys(files):
        parts = PurePosixPath(path).parts
        names = ["-".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        key = next(key for name in names if keys.get(key := _KEY.sub("_", name), path) == path)
        keys[key] = path
    return keys


def _files(settings: Any) -> Iterator[str]:
    """The files that a receiver names, at any depth."""
    if isinstance(settings, list):
        for one in settings:
            yield from _files(one)
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            if key.endswith("_file"):
                yield value
            else:
                yield from _files(value)


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
    for integration, configs in receiver.items():
        if integration != "name":
            build = _webhook if integration == "webhook_configs" else _renamed
            built[_camel(integration)] = [build(config, references) for config in configs]
    return built


def _webhook(config: Mapping[str, Any], references: Mapping[str, Object]) -> Object:
    built = _renamed({key: value for key, value in config.items() if key != "http_config"}, references)
    if "http_config" in config:
        file = config["http_config"]["authorization"]["credentials_file"]
        built["httpConfig"] = {"authorization": {"type": "Bearer", "credentials": references[file]}}
    return built


def _renamed(config: Mapping[str, Any], references: Mapping[str, Object]) -> Object:
    """`config` under the operator's keys; a file that holds a secret becomes the reference to its key, a mapping a list of pairs."""
    built: Object = {}
    for key, value in config.items():
        if key.endswith("_file"):
            built[_camel(key.removesuffix("_file"))] = references[value]
        elif isinstance(value, Mapping):
            built[_camel(key)] = [{"key": name, "value": text} for name, text in value.items()]
        else:
            built[_camel(key)] = value
    return built


def _camel(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join(part.upper() if part in _UPPER else part.capitalize() for part in others)

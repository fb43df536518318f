"""What a deploy would change, in an operator's terms: alerts, records, panels and routes, not lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import promql_parser

from tiercli.conventions import CONSTANTS_PIECE, GROUP_PREFIX, NAMESPACE_LABEL
from tiercli.dashboards.read.board import parse_board
from tiercli.output.tree import ALERTMANAGER_FILE, RULES_PATH, from_yaml
from tiercli.signals.rule import Rule, read_rules

# A number that stands alone: not part of a name or a duration.
_NUMBER = re.compile(r"(?<![\w.:])(\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?![\w.:])")
_PIECE = re.compile(rf"{CONSTANTS_PIECE}\d+$")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `kind`: added, removed or changed; `what`: alert, record, panel, route, …; `part`: what of it changed,
    from `before` to `after`."""

    kind: str
    what: str
    name: str
    part: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Deployed:
    """What is deployed, by kind and name, each with its parts as texts. A kind that cannot be read is missing, and is not
    compared. `foreign`: rule groups that tiercli did not generate."""

    things: Mapping[str, Mapping[str, Mapping[str, str]]]
    foreign: tuple[str, ...] = field(default=())


def compare(before: Deployed, after: Deployed) -> list[Change]:
    """Every difference of the kinds that both have, by kind and name."""
    return [change for kind in after.things if kind in before.things for change in _of_kind(kind, before, after)]


def deployed_tree(tree: Mapping[str, str]) -> Deployed:
    """The content of a generated tree, or of a part of one."""
    things: dict[str, dict[str, dict[str, str]]] = {}
    if RULES_PATH in tree:
        things |= rule_things(read_rules(tree[RULES_PATH], RULES_PATH))
    boards = {path: text for path, text in tree.items() if path.startswith("grafana/dashboards/")}
    if boards:
        things["panel"] = {name: parts for path, text in sorted(boards.items()) for name, parts in _panels(path, text)}
    if ALERTMANAGER_FILE in tree:
        config = from_yaml(tree[ALERTMANAGER_FILE])
        things |= _routing(config)
    return Deployed(things)


def deployed_rules(rules: Sequence[Rule]) -> Deployed:
    """The rules that a Prometheus has loaded: tiercli's groups, and the names of the others."""
    foreign = sorted({rule.group for rule in rules if not ours(rule.group)})
    return Deployed(rule_things(rule for rule in rules if ours(rule.group)), tuple(foreign))


def rule_things(rules: Iterable[Rule]) -> dict[str, dict[str, dict[str, str]]]:
    """Rules as the things of a Deployed: alerts and records, by name."""
    things: dict[str, dict[str, dict[str, str]]] = {"alert": {}, "record": {}}
    for rule in rules:
        # In Kubernetes a group of constants may be split, and alerts carry their namespace: neither is a change.
        parts = {"expression": normalised(rule.expr), "group": _PIECE.sub("", rule.group)}
        name = rule.name
        if rule.kind == "record":
            name += _braced(rule.labels)
        else:
            parts |= {"for": f"{rule.for_s:g} s", "keep_firing_for": f"{rule.keep_firing_for_s:g} s"}
            parts |= {f"label {key}": value for key, value in rule.labels.items() if key != NAMESPACE_LABEL}
            parts |= {f"annotation {key}": value for key, value in rule.annotations.items()}
        things[rule.kind][name] = parts
    return things


@lru_cache(maxsize=16384)
def normalised(expr: str) -> str:
    """An expression as the parser writes it, so that only its meaning is compared."""
    try:
        return " ".join(promql_parser.parse(expr).prettify().split())
    except ValueError:
        return " ".join(expr.split())


def ours(group: str) -> bool:
    """Whether a rule group is one that tiercli generates."""
    return group.startswith(f"{GROUP_PREFIX}-")


def _of_kind(kind: str, before: Deployed, after: Deployed) -> Iterator[Change]:
    old, new = before.things[kind], after.things[kind]
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield Change("removed", kind, name)
        elif name not in old:
            yield Change("added", kind, name)
        else:
            for part in dict.fromkeys((*new[name], *old[name])):
                was, becomes = old[name].get(part, ""), new[name].get(part, "")
                if was != becomes:
                    yield Change("changed", kind, name, *_numbers(part, was, becomes))


def _numbers(part: str, was: str, becomes: str) -> tuple[str, str, str]:
    """Of two expressions that differ in numbers only, these numbers: a threshold is easier to read than an expression."""
    old, new = _NUMBER.split(was), _NUMBER.split(becomes)
    if part != "expression" or old[::2] != new[::2]:
        return part, was, becomes
    pairs = [(a, b) for a, b in zip(old[1::2], new[1::2], strict=True) if a != b]
    return "threshold", ", ".join(a for a, _ in pairs), ", ".join(b for _, b in pairs)


def _panels(path: str, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    board = PurePosixPath(path).stem
    for panel in parse_board(text, path).panels:
        parts = {"title": panel.title, "type": panel.type, "description": panel.description, "unit": panel.unit}
        parts |= {f"query {target.ref}": " ".join(target.expr.split()) for target in panel.targets}
        yield f"{board} / {panel.id}", parts


def _routing(config: Mapping[str, Any]) -> dict[str, dict[str, dict[str, str]]]:
    receivers = {
        receiver["name"]: {key: _text(value) for key, value in receiver.items() if key != "name"}
        for receiver in config["receivers"]
    }
    inhibitions = {
        f"{', '.join(rule['source_matchers'])} inhibits {', '.join(rule['target_matchers'])}": {
            "equal": ", ".join(rule.get("equal", ()))
        }
        for rule in config.get("inhibit_rules", ())
    }
    return {"route": dict(_routes(config["route"], "")), "receiver": receivers, "inhibition": inhibitions}


def _routes(route: Mapping[str, Any], above: str) -> Iterator[tuple[str, dict[str, str]]]:
    name = " > ".join(part for part in (above, ", ".join(route.get("matchers", ()))) if part)
    yield name or "all", {key: _text(value) for key, value in route.items() if key not in ("routes", "matchers")}
    for inner in route.get("routes", ()):
        yield from _routes(inner, name)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _braced(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items())) + "}" if labels else ""

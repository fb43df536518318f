"""Rule namespace files for Mimir and Cortex, as mimirtool and cortextool load them."""

from __future__ import annotations

import yaml

from tiercli.output.tree import RULES_PATH, to_yaml
from tiercli.output.wrappers.interface import Tree, Wrap, WrapOptions
from tiercli.output.wrappers.objects import object_name

FOLDER = "mimir"
_RULES = f"{FOLDER}/rules.yaml"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _render(tree: Tree, options: WrapOptions) -> dict[str, str]:
    groups = yaml.load(tree[RULES_PATH], _LOADER)["groups"]  # noqa: S506 - a safe one
    return {_RULES: to_yaml({"namespace": object_name(options), "groups": groups})}


def _rules(tree: Tree) -> str | None:
    if _RULES not in tree:
        return None
    return to_yaml({"groups": yaml.load(tree[_RULES], _LOADER)["groups"]})  # noqa: S506 - a safe one


WRAP = Wrap(FOLDER, "a rule namespace for Mimir or Cortex", _render, _rules)

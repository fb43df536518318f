"""Rule namespace files for Mimir and Cortex, as mimirtool and cortextool load them."""

from __future__ import annotations

from tiercli.output.tree import RULES_PATH, from_yaml, to_yaml
from tiercli.output.wrappers.interface import Tree, Wrap, WrapOptions
from tiercli.output.wrappers.objects import object_name

FOLDER = "mimir"
_RULES = f"{FOLDER}/rules.yaml"


def _render(tree: Tree, options: WrapOptions) -> dict[str, str]:
    groups = from_yaml(tree[RULES_PATH])["groups"]
    return {_RULES: to_yaml({"namespace": object_name(options), "groups": groups})}


def _rules(tree: Tree) -> str | None:
    if _RULES not in tree:
        return None
    return to_yaml({"groups": from_yaml(tree[_RULES])["groups"]})


WRAP = Wrap(FOLDER, "a rule namespace for Mimir or Cortex", _render, _rules)

"""Files as Prometheus, Alertmanager and Grafana read them."""

from __future__ import annotations

from tiercli.output.tree import RULES_PATH
from tiercli.output.wrappers.interface import Tree, Wrap, WrapOptions


def _render(tree: Tree, options: WrapOptions) -> dict[str, str]:
    return dict(tree)


def _rules(tree: Tree) -> str | None:
    return tree.get(RULES_PATH)


WRAP = Wrap("plain", "files as Prometheus, Alertmanager and Grafana read them", _render, _rules)

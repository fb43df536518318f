"""What a wrap is: a name, and a function from the plain tree to files below a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Tree = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WrapOptions:
    """Which estate the tree belongs to, and how its objects are named and found.

    `folder`: the title of Grafana's folder. `labels`: on every object, for selectors. `instances`: the labels of the Grafanas that
    get the dashboards. `secret`: the Secret with the receivers' secrets, one key for each file of the plain form.
    """

    estate: str
    env: str
    folder: str
    namespace: str = "monitoring"
    labels: Mapping[str, str] = field(default_factory=dict)
    instances: Mapping[str, str] = field(default_factory=lambda: {"dashboards": "grafana"})
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Wrap:
    """`render` takes the plain tree without its manifest, and raises InvalidInput where a file does not fit this form.
    `rules`: the rule file in a tree of this form, or None where the tree has no rules. `raw_receivers`: whether what a catalog
    has under `raw` of a receiver can be in this form, or does not matter to it."""

    name: str
    summary: str
    render: Callable[[Tree, WrapOptions], dict[str, str]]
    rules: Callable[[Tree], str | None]
    raw_receivers: bool = True

"""What a wrap is: a name, and a function from the plain tree to files below a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Tree = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WrapOptions:
    """Whose tree it is, and how its objects are called and found.

    `folder`: Grafana's, by its title. `labels`: on every object, for whoever selects them. `instances`: the labels of the Grafanas that dashboards are for.
    `secret`: the Secret that holds what the receivers' files hold elsewhere, a key a file.
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
    `rules`: the rule file that a tree of this form holds, or None where it holds none."""

    name: str
    summary: str
    render: Callable[[Tree, WrapOptions], dict[str, str]]
    rules: Callable[[Tree], str | None]

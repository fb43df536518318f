"""The generated tree in the forms of --wrap."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tiercli.catalog.loading import Check, LoadedCatalog
from tiercli.catalog.model import Catalog
from tiercli.conventions import MANIFEST_FILE
from tiercli.dashboards.build.provisioning import folder_title
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.output.tree import RULES_PATH, render_manifest
from tiercli.output.wrappers import WRAPS, WrapOptions

PLAIN = "plain"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_PREFIX = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
_KEY = re.compile(rf"({_PREFIX}/)?{_LABEL}")
_VALUE = re.compile(rf"({_LABEL})?")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def wrap_tree(tree: Mapping[str, str], wraps: Sequence[str], options: WrapOptions) -> dict[str, str]:
    """`tree` in each form of `wraps`, with a manifest of the result. Raises InvalidInput where a file does not fit a form."""
    plain = {path: text for path, text in tree.items() if path != MANIFEST_FILE}
    wrapped: dict[str, str] = {}
    for name in wraps:
        wrapped |= WRAPS[name].render(plain, options)
    wrapped = dict(sorted(wrapped.items()))
    return wrapped | {MANIFEST_FILE: render_manifest(wrapped, options.estate, options.env)}


def receivers_for(wraps: Sequence[str]) -> Check:
    """A check of a catalog: a problem at each `raw` receiver, if one of `wraps` has no place for it."""
    refusing = [name for name in dict.fromkeys(wraps) if name in WRAPS and not WRAPS[name].raw_receivers]

    def check(loaded: LoadedCatalog) -> list[Problem]:
        return [
            loaded.problem(
                ("receivers", name, "raw"),
                f"receiver {name!r} has `raw`, which --wrap {wrap} cannot take over",
                "a receiver without it, or another form: its routing can be the plain one",
                key=True,
            )
            for name, receiver in loaded.catalog.receivers.items()
            if receiver.raw
            for wrap in refusing
        ]

    return check


def unwrapped(tree: Mapping[str, str]) -> dict[str, str]:
    """`tree` with its rules at the path of the plain form, whatever form they are in."""
    if RULES_PATH in tree:
        return dict(tree)
    rules = next((text for wrap in WRAPS.values() if (text := wrap.rules(tree)) is not None), None)
    return dict(tree) if rules is None else {**tree, RULES_PATH: rules}


def read_options(
    catalog: Catalog,
    wraps: Iterable[str],
    *,
    namespace: str | None,
    labels: Iterable[str],
    instances: Iterable[str],
    secret: str | None,
) -> tuple[tuple[str, ...], WrapOptions]:
    """The forms and their options from a command line; labels are KEY=VALUE. Raises InvalidInput with every problem."""
    chosen = tuple(dict.fromkeys(wraps)) or (PLAIN,)
    problems = [
        Problem(Location("--wrap"), f"unknown form {name!r}", ", ".join(WRAPS)) for name in chosen if name not in WRAPS
    ]
    if namespace is not None and not _NAMESPACE.fullmatch(namespace):
        problems.append(
            Problem(
                Location("--namespace"), f"{namespace!r} is not a namespace", "lower case letters, digits and dashes"
            )
        )
    if secret is not None and not _NAME.fullmatch(secret):
        problems.append(
            Problem(
                Location("--secret"),
                f"{secret!r} is not a name of a Secret",
                "lower case letters, digits, dashes and dots",
            )
        )
    given = {
        "--namespace": namespace,
        "--label": tuple(labels),
        "--grafana-label": tuple(instances),
        "--secret": secret,
    }
    unused = [name for name, value in given.items() if value] if chosen == (PLAIN,) else []
    problems += [
        Problem(Location(name), "has no effect on plain files", "together with a --wrap of Kubernetes objects")
        for name in unused
    ]
    read = {name: _labels(name, given[name] or (), problems) for name in ("--label", "--grafana-label")}
    if problems:
        raise InvalidInput("invalid options", problems)
    default = WrapOptions(catalog.estate, catalog.env, folder_title(catalog))
    options = WrapOptions(
        catalog.estate,
        catalog.env,
        default.folder,
        namespace or default.namespace,
        read["--label"],
        read["--grafana-label"] or default.instances,
        secret,
    )
    return chosen, options


def _labels(option: str, texts: Iterable[str], problems: list[Problem]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            problems.append(Problem(Location(option), f"{text!r} is not a label", "KEY=VALUE, valid in Kubernetes"))
        labels[key] = value
    return labels

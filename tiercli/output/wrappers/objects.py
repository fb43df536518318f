"""Kubernetes objects: their names, their size limit, and rules split into as many as needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tiercli.conventions import CONSTANTS_PIECE, GENERATOR, slug
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.output.wrappers.interface import WrapOptions

# kubectl apply keeps a copy of an object in an annotation of at most 256 KiB; below that every other limit is kept too
# (a ConfigMap's 1 MiB, and the 512 KiB that Prometheus Operator allows a rule file).
MOST_BYTES = 240_000
_CONSTANT = re.compile(r"^vector\([0-9.e+-]+\)$")

Object = dict[str, Any]


def object_name(options: WrapOptions, *parts: str) -> str:
    """A DNS-1123 name for an object of this estate and environment: lower case letters, digits and dashes, the same every
    time."""
    return "-".join([GENERATOR, slug(options.estate), slug(options.env), *parts])


def build_object(
    options: WrapOptions,
    api: str,
    kind: str,
    name: str,
    content: Mapping[str, Any],
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Object:
    """An object of `kind` whose fields beside its metadata are `content`."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": options.namespace,
        "labels": {"app.kubernetes.io/managed-by": GENERATOR, **(labels or {}), **options.labels},
    }
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **content}


def size_of(content: object) -> int:
    """The bytes that `content` takes as JSON, which is how Kubernetes counts."""
    return len(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())


def too_large(what: str, size: int) -> InvalidInput:
    """The error for an object that does not fit."""
    problem = f"{what} takes {size:,} bytes, more than the {MOST_BYTES:,} that kubectl apply can store"
    return InvalidInput("an object is too large", [Problem(Location(what), problem, "a smaller one")])


def split_groups(groups: Sequence[Mapping[str, Any]]) -> Iterator[list[Object]]:
    """Rule groups in parts that each fit into one object. Groups are independent, so they can be apart; a group that is too large
    is split where its rules are constants, which read nothing. Raises InvalidInput where it cannot be split."""
    part: list[Object] = []
    taken = 0
    for group in groups:
        for piece in _pieces(group):
            size = size_of(piece)
            if part and taken + size > MOST_BYTES:
                yield part
                part, taken = [], 0
            part.append(piece)
            taken += size
    if part:
        yield part


def _pieces(group: Mapping[str, Any]) -> Iterator[Object]:
    if size_of(group) <= MOST_BYTES:
        yield dict(group)
        return
    constants = [rule for rule in group["rules"] if _CONSTANT.match(str(rule["expr"]))]
    others = [rule for rule in group["rules"] if not _CONSTANT.match(str(rule["expr"]))]
    named = 1
    rules: list[Any] = []
    taken = 0
    for rule in constants:
        size = size_of(rule) + 1
        if rules and taken + size > MOST_BYTES - 1000:
            yield {**group, "name": f"{group['name']}{CONSTANTS_PIECE}{named}", "rules": rules}
            named, rules, taken = named + 1, [], 0
        rules.append(rule)
        taken += size
    if rules:
        yield {**group, "name": f"{group['name']}{CONSTANTS_PIECE}{named}", "rules": rules}
    rest = {**group, "rules": others}
    if others and size_of(rest) > MOST_BYTES:
        raise too_large(f"rule group {group['name']}", size_of(rest))
    if others:
        yield rest

"""Expressions as trees: parsed once, walked with the parts around each part."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import promql_parser as p


@lru_cache(maxsize=8192)
def parse(expr: str) -> Any | None:
    """The tree of `expr`; None when it is not PromQL, which promql/syntax reports."""
    try:
        return p.parse(expr)
    except ValueError:
        return None


def walk(node: Any, around: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every part of a tree, with the parts around it, the nearest first."""
    yield node, around
    inner = (node, *around)
    for child in _children(node):
        yield from walk(child, inner)


def calls_around(around: tuple[Any, ...]) -> list[str]:
    """The functions and aggregations around a part, the nearest first."""
    names = []
    for node in around:
        if isinstance(node, p.Call):
            names.append(node.func.name)
        elif isinstance(node, p.AggregateExpr):
            names.append(str(node.op))
    return names


def _children(node: Any) -> list[Any]:
    if isinstance(node, p.MatrixSelector):
        return [node.vector_selector]
    if isinstance(node, (p.ParenExpr, p.UnaryExpr, p.SubqueryExpr)):
        return [node.expr]
    if isinstance(node, p.AggregateExpr):
        return [node.expr]
    if isinstance(node, p.Call):
        return list(node.args)
    if isinstance(node, p.BinaryExpr):
        return [node.lhs, node.rhs]
    return []

"""Which labels an expression yields, followed from its selectors up: a label that is grouped or joined by, and that the
series do not have, makes an alert that never fires or names no one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import promql_parser as p

# Functions whose result has no label of their argument, and those that Prometheus gives labels by rules of their own.
_WITHOUT_LABELS = frozenset({"vector", "scalar", "time", "pi"})
_LABELS_UNKNOWN = frozenset({"absent", "absent_over_time", "info"})
_DST_LABEL = frozenset({"label_replace", "label_join"})

Labels = frozenset[str] | None


class _Scalar(frozenset[str]):
    """The labels of a scalar: none, and it matches whatever it is compared with."""


_SCALAR = _Scalar()


class LabelFlow:
    """Follows labels through a parsed expression. `faults` are (what is wrong, the wrong name, what is accepted)."""

    def __init__(self, known: Mapping[str, Labels]) -> None:
        self._known = known
        self.faults: list[tuple[str, str, tuple[str, ...]]] = []

    def labels(self, node: Any) -> Labels:
        """The labels of what `node` yields; None when they are unknown."""
        if isinstance(node, p.VectorSelector):
            return self._selector(node)
        if isinstance(node, p.MatrixSelector):
            return self._selector(node.vector_selector)
        if isinstance(node, (p.ParenExpr, p.UnaryExpr, p.SubqueryExpr)):
            return self.labels(node.expr)
        if isinstance(node, p.Call):
            return self._call(node)
        if isinstance(node, p.AggregateExpr):
            return self._aggregate(node)
        if isinstance(node, p.BinaryExpr):
            return self._binary(node)
        return _SCALAR

    @classmethod
    def selected(cls, node: Any) -> Iterator[str]:
        """The metric name of every selector in a parsed expression."""
        if isinstance(node, p.VectorSelector):
            yield from (node.name,) if node.name else ()
        elif isinstance(node, p.MatrixSelector):
            yield from cls.selected(node.vector_selector)
        elif isinstance(node, (p.ParenExpr, p.UnaryExpr, p.SubqueryExpr, p.AggregateExpr)):
            yield from cls.selected(node.expr)
        elif isinstance(node, p.Call):
            for argument in node.args:
                yield from cls.selected(argument)
        elif isinstance(node, p.BinaryExpr):
            yield from cls.selected(node.lhs)
            yield from cls.selected(node.rhs)

    def _fault(self, problem: str, name: str = "", accepted: Iterable[str] = ()) -> None:
        fault = (problem, name, tuple(accepted))
        if fault not in self.faults:
            self.faults.append(fault)

    def _selector(self, node: Any) -> Labels:
        if node.name is None or node.matchers.or_matchers:
            self._fault("a selector without a plain metric name")
            return None
        if node.name not in self._known:
            self._fault(f"unknown metric {node.name!r}", node.name, self._known)
            return None
        labels = self._known[node.name]
        for matcher in node.matchers.matchers:
            self._check(matcher.name, labels, node.name)
        return labels

    def _check(self, label: str, labels: Labels, of: str) -> None:
        if labels is not None and label not in labels:
            self._fault(f"{of} has no label {label!r}", label, labels)

    def _call(self, node: Any) -> Labels:
        name = node.func.name
        inner = [self.labels(arg) for arg in node.args]
        vectors = [labels for labels in inner if not isinstance(labels, _Scalar)]
        if name in _WITHOUT_LABELS:
            return frozenset() if name == "vector" else _SCALAR
        if name in _LABELS_UNKNOWN:
            return None
        labels = vectors[0] if vectors else frozenset()
        if labels is None:
            return None
        if name == "histogram_quantile":
            self._check("le", labels, "the argument of histogram_quantile")
            return labels - {"le"}
        if name in _DST_LABEL:
            return labels | {node.args[1].val}
        return labels

    def _aggregate(self, node: Any) -> Labels:
        labels = self.labels(node.expr)
        named = frozenset(node.modifier.labels) if node.modifier is not None else frozenset()
        by = node.modifier is None or node.modifier.type == p.AggModifierType.By
        for label in sorted(named):
            self._check(label, labels, f"the argument of {node.op}")
        if str(node.op) in ("topk", "bottomk"):
            return labels
        extra = {node.param.val} if str(node.op) == "count_values" else set()
        if by:
            return named | extra
        return None if labels is None else (labels - named) | extra

    def _binary(self, node: Any) -> Labels:
        left, right = self.labels(node.lhs), self.labels(node.rhs)
        if isinstance(left, _Scalar) or isinstance(right, _Scalar):
            return left if isinstance(right, _Scalar) else right
        operator, modifier = str(node.op), node.modifier
        matching = modifier.matching if modifier is not None else None
        on = matching is not None and matching.type == p.LabelModifierType.Include
        named = frozenset(matching.labels) if matching is not None else frozenset()
        if on:
            for label in sorted(named):
                self._check(label, left, f"the left of {operator}")
                self._check(label, right, f"the right of {operator}")
        elif left is not None and right is not None and left - named != right - named and operator != "or":
            sides = " and ".join("{" + ", ".join(sorted(side)) + "}" for side in (left, right))
            self._fault(f"the two sides of {operator} never match: their labels are {sides}")
        if operator in ("and", "unless"):
            return left
        if operator == "or":
            return None if left is None or right is None else left | right
        card = modifier.card if modifier is not None else p.VectorMatchCardinality.OneToOne
        if card == p.VectorMatchCardinality.OneToOne:
            if on:
                return named
            return None if left is None else left - named
        many, single = (left, right) if card == p.VectorMatchCardinality.ManyToOne else (right, left)
        brought = frozenset(modifier.group_labels or ())
        for label in sorted(brought):
            self._check(label, single, f"the one side of {operator}")
        return None if many is None else many | brought

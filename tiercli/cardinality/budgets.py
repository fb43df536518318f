"""Budgets against the contract: a budget of a metric that does not exist would hold nothing back."""

from __future__ import annotations

from tiercli.catalog.document import Document
from tiercli.catalog.model import Catalog
from tiercli.catalog.validation import unknown_name
from tiercli.errors import Problem
from tiercli.signals.contract import METRICS_BY_NAME
from tiercli.signals.recorded import RECORDED_BY_NAME


def check_budgets(catalog: Catalog, document: Document) -> list[Problem]:
    """A problem for each budget of an unknown metric, at its place in the catalog."""
    known = (*METRICS_BY_NAME, *RECORDED_BY_NAME)
    return [
        unknown_name(
            "metric", name, known, document.locate(("cardinality", "metrics", name), key=True), " in cardinality"
        )
        for name in catalog.cardinality.metrics
        if name not in known
    ]

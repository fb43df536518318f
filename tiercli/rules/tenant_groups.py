"""Rules that group rare tenants, for a gateway that cannot: the recorded series have fewer tenants than the scraped ones."""

from __future__ import annotations

from functools import cache

from tiercli.catalog.model import Catalog
from tiercli.signals.bindings import CANONICAL_BINDING, bound_expressions, known_binding
from tiercli.signals.contract import METRICS_BY_NAME
from tiercli.signals.expressions import series_read
from tiercli.signals.label_policy import TENANT, metric_policies
from tiercli.signals.promql import any_of, quote
from tiercli.signals.recorded import RECORDED_BY_NAME
from tiercli.signals.rule import Rule, recording_rule
from tiercli.signals.timing import Timing

_OWN = "own_name"
# Of ratios the maximum counts; other series are summed.
_FULLEST = frozenset({"tier:tenant:quota_fill:ratio"})


def group_tenants(record: Rule, catalog: Catalog) -> Rule:
    """`record` with grouped tenants summed under one name. Calls without a known tenant stay without one."""
    labels = RECORDED_BY_NAME[record.name].labels
    if TENANT not in labels or not any(entry.where == "rules" for entry in catalog.cardinality.policy):
        return record
    policies = [metric_policies(catalog)[metric] for metric in _metrics_of(record.name)]
    policy = next((policy for policy in policies if policy.recorded is not None and policy.groups is None), None)
    if policy is None or policy.recorded is None:
        return record
    operator = "max" if record.name in _FULLEST else "sum"
    others = [label for label in labels if label != TENANT]
    kept = quote(f"({any_of(sorted(policy.recorded.kept))}|)")
    rest = quote(policy.recorded.rest.replace("$", "$$"))
    # Tenants that keep their name, and the empty one, are marked with =; the others are summed.
    marked = f'label_replace({record.expr}, "{_OWN}", "=$1", "{TENANT}", {kept})'
    summed = f"{operator} by ({', '.join([_OWN, *others])}) ({marked})"
    named = (
        f'label_replace(label_replace({summed}, "{TENANT}", {rest}, "{_OWN}", ""), "{TENANT}", "$1", "{_OWN}", "=(.*)")'
    )
    return recording_rule(record.name, f"{operator} by ({', '.join(labels)}) ({named})")


@cache
def _metrics_of(record: str) -> tuple[str, ...]:
    """The metrics of the contract that a recorded series reads."""
    expressions = bound_expressions(known_binding(CANONICAL_BINDING), Timing(), "job")
    return tuple(sorted(name for name in series_read(expressions.get(record, "")) if name in METRICS_BY_NAME))

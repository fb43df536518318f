"""The cardinality policy of a catalog: which labels each metric of the contract has, and which tenants keep their own.

The policy applies where a metric is counted: the tenants of a group are added up there. Relabelling at the scrape would give
two samples of one scrape the same labels, and Prometheus would drop one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from heapq import nsmallest

from tiercli.catalog.model import Catalog, LabelPolicy, RareTenants
from tiercli.signals.contract import CONTRACT, Metric

TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class TenantGroups:
    """Which tenants keep their label value; all others become `rest`. A call of an unknown tenant keeps an empty value."""

    kept: frozenset[str]
    rest: str

    def label(self, tenant: str) -> str:
        """The label value of a tenant."""
        return tenant if not tenant or tenant in self.kept else self.rest


@dataclass(frozen=True, slots=True)
class MetricPolicy:
    """The labels that a metric has, in the contract's order, and how its tenants are grouped where it is counted; None:
    they are not. `recorded`: how they are grouped in the series that rules record of it."""

    labels: tuple[str, ...]
    groups: TenantGroups | None = None
    recorded: TenantGroups | None = None

    def apply(self, labels: Mapping[str, str]) -> dict[str, str]:
        """A label set of the contract under this policy."""
        kept = {label: labels[label] for label in self.labels}
        if self.groups is not None:
            kept[TENANT] = self.groups.label(kept[TENANT])
        return kept


# The last computed policies, with their catalog.
_LAST: list[tuple[Catalog, dict[str, MetricPolicy]]] = []


def metric_policies(catalog: Catalog) -> dict[str, MetricPolicy]:
    """The policy of every metric of the contract, by its name."""
    # Every stage needs those of the same catalog, and ranking ten thousand tenants takes a while.
    if not _LAST or _LAST[0][0] is not catalog:
        _LAST[:] = [(catalog, _metric_policies(catalog))]
    return _LAST[0][1]


def _metric_policies(catalog: Catalog) -> dict[str, MetricPolicy]:
    entries = {id(entry): entry for entry in catalog.cardinality.policy}
    groups = {
        key: None if entry.rare_tenants is None else tenant_groups(catalog, entry.rare_tenants)
        for key, entry in entries.items()
    }
    policies = {}
    for metric in CONTRACT:
        entry = next((entry for entry in entries.values() if governs(entry, metric)), None)
        if entry is None:
            policies[metric.name] = MetricPolicy(metric.labels)
            continue
        labels = tuple(label for label in metric.labels if label not in entry.drop)
        recorded = groups[id(entry)] if TENANT in labels else None
        policies[metric.name] = MetricPolicy(labels, recorded if entry.where == "gateway" else None, recorded)
    return policies


def governs(entry: LabelPolicy, metric: Metric) -> bool:
    """Whether an entry of the policy applies to a metric: by name, or by a pattern where the metric has a label of the entry."""
    if metric.name in entry.metrics:
        return True
    about = {*entry.drop, *((TENANT,) if entry.rare_tenants is not None else ())}
    return bool(about & set(metric.labels)) and any(fnmatchcase(metric.name, pattern) for pattern in entry.metrics)


def tenant_groups(catalog: Catalog, rare: RareTenants) -> TenantGroups:
    """Which tenants keep their label value: those in `keep`, those of overrides, and those with the largest monthly budgets (of
    equal budgets the first by name)."""
    overridden = {
        override.tenant for settings in catalog.alarms.values() for override in settings.overrides if override.tenant
    }
    largest = nsmallest(rare.top, ((-tenant.budget_usd_per_month, name) for name, tenant in catalog.tenants.items()))
    return TenantGroups(frozenset({*rare.keep, *overridden, *(name for _, name in largest)}), rare.rest)


def tenant_map(catalog: Catalog) -> dict[str, Mapping[str, str]]:
    """For gateways: by metric that has grouped tenants, the label value of every tenant that loses its own."""
    return {
        name: {tenant: policy.groups.rest for tenant in catalog.tenants if tenant not in policy.groups.kept}
        for name, policy in metric_policies(catalog).items()
        if policy.groups is not None
    }

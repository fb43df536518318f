"""What the simulated gateway exposes: the metrics that its audit records add up to, and those that only it knows."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from tiercli.audit.audit_log import AuditLog
from tiercli.exporters.audit_tally import Tally
from tiercli.exporters.contract_families import contract_family
from tiercli.sandbox.gateway.conditions import Conditions
from tiercli.sandbox.gateway.limits import Quotas
from tiercli.sandbox.gateway.upstream import Credentials
from tiercli.sandbox.plan import EstatePlan
from tiercli.signals.label_policy import metric_policies


class GatewayMetrics(Collector):
    """A collector in a registry of its own: no process, platform or `_created` series beside the contract's."""

    def __init__(
        self,
        plan: EstatePlan,
        tally: Tally,
        audit: AuditLog,
        quotas: Quotas,
        credentials: Credentials,
        conditions: Conditions,
    ) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._plan, self._tally, self._audit = plan, tally, audit
        self._quotas, self._credentials, self._conditions = quotas, credentials, conditions

    def collect(self) -> Iterator[Family]:
        """The metrics as they are now. No evals are run in a sandbox: their scores are set."""
        policies, quotas = metric_policies(self._plan.catalog), self._quotas
        scores = {alias.name: self._conditions.eval_score(alias.name, alias.eval_score) for alias in self._plan.aliases}
        yield from self._tally.counted.families(policies, scores)
        yield contract_family("ai_gateway_quota_bucket_fill_ratio", quotas.fill_ratios(), policies)
        yield contract_family("ai_gateway_quota_headroom_ratio", quotas.headroom_ratios(), policies)
        yield contract_family("ai_gateway_credentials_issued_total", self._credentials.issued, policies)
        yield contract_family("ai_gateway_up", {(): float(self._audit.healthy)}, policies)

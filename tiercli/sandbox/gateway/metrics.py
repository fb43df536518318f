"""What the simulated gateway exposes: the metrics of each source that a scrape of the real one would see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from tiercli.audit.audit_log import AuditLog
from tiercli.catalog.model import Catalog
from tiercli.exporters.audit_tally import Tally
from tiercli.exporters.contract_families import contract_family
from tiercli.sandbox.gateway.conditions import Conditions
from tiercli.sandbox.gateway.limits import Quotas
from tiercli.sandbox.gateway.upstream import Upstream
from tiercli.sandbox.plan import GATEWAY_PATH, EstatePlan, source_path
from tiercli.signals.bindings import Binding, known_binding
from tiercli.signals.label_policy import metric_policies


def gateway_sources(catalog: Catalog) -> Iterator[tuple[str, Binding, str | None]]:
    """The sources that the gateway's own process speaks: the path, the binding, and of a console the provider."""
    yield GATEWAY_PATH, known_binding(catalog.gateway.binding), None
    for name, source in catalog.sources.items():
        binding = known_binding(source.binding)
        if binding.kind == "gateway":
            yield source_path(name), binding, source.provider


class ContractMetrics(Collector):
    """A source that exposes the canonical contract, or as much of it as its binding reads. A collector in a registry of its own: no
    process, platform or `_created` series beside the contract's."""

    def __init__(
        self,
        binding: Binding,
        plan: EstatePlan,
        tally: Tally,
        audit: AuditLog,
        quotas: Quotas,
        upstream: Upstream,
        conditions: Conditions,
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._exposed = {metric.name.removesuffix("_total") for metric in binding.contract()}
        self._plan, self._tally, self._audit = plan, tally, audit
        self._quotas, self._upstream, self._conditions = quotas, upstream, conditions

    def collect(self) -> Iterator[Family]:
        """The metrics as they are now. No evals are run in a sandbox: their scores are set."""
        yield from (family for family in self._families() if family.name in self._exposed)

    async def answer(self, request: web.Request) -> web.Response:
        """The answer to a scrape."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})

    def _families(self) -> Iterator[Family]:
        policies, quotas = metric_policies(self._plan.catalog), self._quotas
        scores = {alias.name: self._conditions.eval_score(alias.name, alias.eval_score) for alias in self._plan.aliases}
        yield from self._tally.counted.families(policies, scores)
        own: Mapping[str, Mapping[tuple[str, ...], float]] = {
            "ai_gateway_quota_bucket_fill_ratio": quotas.fill_ratios(),
            "ai_gateway_quota_headroom_ratio": quotas.headroom_ratios(),
            "ai_gateway_credentials_issued_total": self._upstream.credentials.issued,
            "ai_gateway_local_queue_depth": self._upstream.waiting(),
            "ai_gateway_up": {(): float(self._audit.healthy)},
        }
        for name, values in own.items():
            yield contract_family(name, values, policies)

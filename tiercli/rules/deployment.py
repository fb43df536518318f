"""Where a configuration runs: production as in the catalog, or a sandbox on loopback in compressed time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tiercli.catalog.model import Catalog, Provider, Server
from tiercli.durations import parse_duration
from tiercli.signals.bindings import binding_names, known_binding
from tiercli.signals.timing import Timing


class ServerTarget(NamedTuple):
    """The address of a local server's metrics, and the labels that the scrape adds."""

    address: str
    server: str
    provider: str
    region: str
    model: str | None = None

    def labels(self) -> dict[str, str]:
        """The labels that the target carries; `model` only if the server's own metrics do not have it."""
        labels = {"server": self.server, "provider": self.provider, "region": self.region}
        return labels if self.model is None else {**labels, "model": self.model}


@dataclass(frozen=True, slots=True)
class Deployment:
    """What differs between production and a sandbox; the rest of the configuration is the same.

    `source_targets`: by name, those of each source beside the gateway and the local servers. `receiver_base`: in a
    sandbox, the URL under which every receiver that has an integration becomes a webhook.
    """

    timing: Timing
    gateway_targets: tuple[str, ...]
    server_targets: tuple[ServerTarget, ...]
    source_targets: Mapping[str, tuple[str, ...]]
    alertmanager_targets: tuple[str, ...]
    prometheus_target: str
    receiver_base: str | None = None

    @staticmethod
    def production(catalog: Catalog) -> Deployment:
        """The deployment of the catalog, in real time."""
        return Deployment(
            timing=timing_of(catalog),
            gateway_targets=catalog.gateway.targets,
            server_targets=tuple(
                ServerTarget(
                    server.metrics, name, provider, server.region, _model_of(catalog.providers[provider], server)
                )
                for provider, name, server in catalog.servers()
                if server.metrics
            ),
            source_targets={name: source.targets for name, source in catalog.sources.items()},
            alertmanager_targets=catalog.alertmanager.targets,
            prometheus_target=catalog.prometheus.target,
        )


def _model_of(provider: Provider, server: Server) -> str | None:
    if provider.binding is None or provider.binding not in binding_names():
        return None
    return server.models[0] if known_binding(provider.binding).model_from_target else None


def timing_of(catalog: Catalog, factor: float = 1.0) -> Timing:
    """The timing of a catalog under a compression factor."""
    return Timing(
        factor=factor,
        scrape_interval_s=parse_duration(catalog.prometheus.scrape_interval),
        evaluation_interval_s=parse_duration(catalog.prometheus.evaluation_interval),
    )

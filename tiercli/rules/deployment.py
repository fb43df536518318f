"""Where a configuration will run: production as the catalog says, or a sandbox on loopback in compressed time."""

from __future__ import annotations

from dataclasses import dataclass

from tiercli.catalog.model import Catalog
from tiercli.durations import parse_duration
from tiercli.signals.timing import Timing


@dataclass(frozen=True, slots=True)
class Deployment:
    """What differs between production and a sandbox; everything else of the configuration is the same.

    `receiver_base`: in a sandbox, the URL under which every receiver that has an integration becomes a webhook.
    """

    timing: Timing
    gateway_targets: tuple[str, ...]
    server_targets: tuple[str, ...]
    alertmanager_targets: tuple[str, ...]
    receiver_base: str | None = None

    @staticmethod
    def production(catalog: Catalog) -> Deployment:
        """As the catalog says, in real time."""
        return Deployment(
            timing=timing_of(catalog),
            gateway_targets=catalog.gateway.targets,
            server_targets=tuple(
                server.metrics
                for provider in catalog.providers.values()
                for server in provider.servers.values()
                if server.metrics
            ),
            alertmanager_targets=catalog.alertmanager.targets,
        )


def timing_of(catalog: Catalog, factor: float = 1.0) -> Timing:
    """The timing of a catalog under a compression factor."""
    return Timing(
        factor=factor,
        scrape_interval_s=parse_duration(catalog.prometheus.scrape_interval),
        evaluation_interval_s=parse_duration(catalog.prometheus.evaluation_interval),
    )

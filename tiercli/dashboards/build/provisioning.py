"""Files that make Grafana load the dashboards by itself."""

from __future__ import annotations

import yaml

from tiercli.catalog.model import Catalog


def folder_title(catalog: Catalog) -> str:
    """The folder of the dashboards in Grafana."""
    return f"LLM traffic ({catalog.estate}, {catalog.env})"


def render_provisioning(catalog: Catalog) -> dict[str, str]:
    """Data source and dashboard provider. Grafana expands ${PROMETHEUS_URL} from its own environment."""
    folder = folder_title(catalog)
    datasources = {
        "apiVersion": 1,
        "datasources": [
            {
                "name": f"Prometheus ({catalog.estate}, {catalog.env})",
                "type": "prometheus",
                "access": "proxy",
                "url": "${PROMETHEUS_URL}",
                "editable": False,
                "jsonData": {"httpMethod": "POST", "timeInterval": catalog.prometheus.scrape_interval},
            }
        ],
    }
    dashboards = {
        "apiVersion": 1,
        "providers": [
            {
                "name": "tiercli",
                "folder": folder,
                "type": "file",
                "disableDeletion": True,
                "allowUiUpdates": False,
                "options": {"path": "/etc/grafana/dashboards/tiercli"},
            }
        ],
    }
    head = "# Start Grafana with PROMETHEUS_URL in its environment, for example http://prometheus.internal:9090\n"
    return {
        "grafana/provisioning/datasources/tiercli.yml": head + yaml.safe_dump(datasources, sort_keys=False),
        "grafana/provisioning/dashboards/tiercli.yml": yaml.safe_dump(dashboards, sort_keys=False),
    }

"""From board files to Grafana's JSON."""

"""What a live Prometheus has of what the rules read."""

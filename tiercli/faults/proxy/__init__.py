"""The fault proxy: a reverse proxy that injects faults under leases, and its client."""

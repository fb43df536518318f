"""Measuring an endpoint that has no gateway before it: what passes a fault proxy, as the contract's metrics and audit records."""

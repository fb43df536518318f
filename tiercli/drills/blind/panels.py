"""The panels that the rules read, by dashboard and title."""

from __future__ import annotations

from tiercli.drills.blind.seen import Panel

INSTANCES: Panel = ("home", "Gateway instances")
COMPLETE: Panel = ("home", "Audit completeness")
HEALTH: Panel = ("home", "Provider health")
LATENCY: Panel = ("provider", "Latency")
ERRORS: Panel = ("provider", "Error rate")
CODES: Panel = ("provider", "Top error codes")
THROTTLED: Panel = ("provider", "Throttled (429)")
UNCLASSIFIED: Panel = ("provider", "Unclassified errors")
FIRST_TOKEN: Panel = ("provider", "Time to first token")
ALIAS_CALLS: Panel = ("alias", "Calls per minute")
CANDIDATES: Panel = ("alias", "Calls by candidate")
EVALS: Panel = ("alias", "Eval score")
ALIAS_COST: Panel = ("alias", "Cost per 1,000 calls")
LENGTH: Panel = ("alias", "Answer length")
REFUSALS: Panel = ("alias", "Refusal rate")
QUOTA: Panel = ("tenant", "Quota buckets")
TENANT_TOKENS: Panel = ("tenant", "Tokens per second")
BY_TENANT: Panel = ("cost", "By tenant")
VIOLATIONS: Panel = ("compliance", "Violations by tenant")
QUEUE: Panel = ("local", "Queue depth")
GPUS: Panel = ("local", "GPU utilisation")
FINISHED: Panel = ("local", "Requests finished")
SCRAPES: Panel = ("health", "Scrape health")

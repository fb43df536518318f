"""Audit records for tests, as a gateway of catalogs/hybrid.yaml would write them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

BEGAN = 1_763_700_000.0  # 2025-11-21 04:40 UTC


def call(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A call that openai answered, `number` seconds after the first."""
    return {
        "at": BEGAN + number,
        "tenant": "acme-corp",
        "feature": "chat",
        "model_alias": "chat",
        "model_used": {"provider": "openai", "model_version": "gpt-5-mini", "region": "ap-south-1"},
        "usage": {"input_tokens": 100, "output_tokens": 40, "cache_read_tokens": 0, "cache_write_tokens": 0},
        "cost_usd": 0.25,
        "status": "success",
        "latency_s": 0.6,
        **changes,
    }


def lines(records: Iterable[dict[str, Any]]) -> str:
    """JSON Lines."""
    return "".join(json.dumps(record) + "\n" for record in records)


def write_log(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    """Append records to a log."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(lines(records))
    return path

"""The gateway itself: whether it is there, and whether it records what it does."""

from __future__ import annotations

from typing import Final

from tiercli.signals.recorded_series import Recorded

_G: Final = "gateway"

SERIES: tuple[Recorded, ...] = (
    Recorded("tier:gateway:expected_instances:count", (), "Gateway instances that the catalog names."),
    Recorded(
        "tier:gateway:deployment_info",
        ("deployment", "provider", "model", "region"),
        "1 for each stable id of the gateway's: what it stands for.",
    ),
    Recorded(
        "tier:gateway:healthy_instances:count",
        (),
        "Gateway instances up and healthy; 0 when none is there.",
        "short",
        _G,
    ),
    Recorded("tier:gateway:calls:increase5m", (), "Client calls in 5 minutes.", "short", _G),
    Recorded("tier:gateway:audit_records:increase5m", (), "Audit records written in 5 minutes.", "short", _G),
    Recorded("tier:gateway:price_book:info", ("version",), "1 for each price book in use.", "short", _G),
    Recorded("tier:gateway:audit_completeness:ratio5m", (), "Audit records over client calls.", "percentunit"),
    Recorded("tier:gateway:audit_completeness:threshold", (), "Below this AuditEmissionLow is pending.", "percentunit"),
    Recorded("tier:gateway:available:bool", (), "1 while an instance is healthy, else 0.", "bool"),
    Recorded(
        "tier:gateway:available:ratio1h", (), "Share of the last hour in which an instance was healthy.", "percentunit"
    ),
)

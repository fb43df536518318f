"""The translator: what an HTTP status is in the contract's structured error codes."""

from __future__ import annotations


def code_of(status: int) -> str:
    """The structured error code of an HTTP status; empty for success, UPSTREAM_UNCLASSIFIED for an unknown one."""
    if 200 <= status < 300:
        return ""
    if status == 429:
        return "RATE_LIMITED"
    if status in (400, 404, 413, 422):
        return "INVALID_REQUEST"
    if status in (408, 504):
        return "UPSTREAM_TIMEOUT"
    return "UPSTREAM_ERROR" if 500 <= status < 600 else "UPSTREAM_UNCLASSIFIED"

"""The translator: what an HTTP status is in the contract's structured error codes, for the proxy, the simulated gateway and the
bindings of sources that report a status."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from tiercli.signals.contract import UNCLASSIFIED

# By regular expression of the status; of two that match, the later one holds. 401 and 403: our key; 404 and 410: the model is not
# (or no longer) there; 529: Anthropic is overloaded, and asks to slow down.
CODES_BY_STATUS: Mapping[str, str] = {
    "5..": "UPSTREAM_ERROR",
    "400|413|422": "INVALID_REQUEST",
    "401|403": "AUTH_FAILED",
    "404|410": "MODEL_NOT_FOUND",
    "408|504": "UPSTREAM_TIMEOUT",
    "429|529": "RATE_LIMITED",
}


@cache
def code_of(status: int) -> str:
    """The structured error code of an HTTP status; empty for success, UPSTREAM_UNCLASSIFIED for an unknown one."""
    if 200 <= status < 300:
        return ""
    matching = [code for pattern, code in CODES_BY_STATUS.items() if re.fullmatch(pattern, str(status))]
    return matching[-1] if matching else UNCLASSIFIED

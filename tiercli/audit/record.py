"""The audit record: one JSON object a line, for a client call or the score of an eval. docs/audit-log.md describes it for
gateways that write it. Never a prompt, an answer or a key.

msgspec decodes it: it checks types as it reads, several times as fast as a parser and a validator after it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

from tiercli.signals.contract import SUCCESS

# A counter only grows: no amount is negative.
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Amount = Annotated[float, msgspec.Meta(ge=0)]
EVAL_SCORE = "eval_score"
ANSWERED = "answered"  # the result of an attempt
CLIENT_CLOSED = "CLIENT_CLOSED"  # the code of a call whose client hung up first


class ModelUsed(msgspec.Struct, frozen=True):
    """What answered."""

    provider: str
    model_version: str
    region: str = ""


class Usage(msgspec.Struct, frozen=True):
    """Tokens."""

    input_tokens: _Count = 0
    output_tokens: _Count = 0
    cache_read_tokens: _Count = 0
    cache_write_tokens: _Count = 0


class Considered(msgspec.Struct, frozen=True):
    """A candidate of the alias, in the order of the attempts. `result`: answered, an error code, or why it was not tried. One that
    was tried has a `latency_s`."""

    result: str
    provider: str = ""
    model_version: str = ""
    region: str = ""
    latency_s: _Amount | None = None
    ttft_s: _Amount | None = None
    usage: Usage | None = None


class Fall(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A fallback from one candidate to the next, each as provider/model/region, and the error code that caused it."""

    from_: str
    to: str
    reason: str


class Route(msgspec.Struct, frozen=True):
    """The candidates of a call, the selected one, and why. Without `fallbacks`, they follow from attempts at different
    candidates."""

    considered: tuple[Considered, ...] = ()
    fallbacks: tuple[Fall, ...] | None = None
    selected: str | None = None
    reason: str | None = None


class AuditRecord(msgspec.Struct, frozen=True):
    """A call (record: call, the default), or the score that an eval gave a production call (record: eval_score)."""

    at: float | str
    record: Literal["call", "eval_score"] = "call"
    request_id: str = ""
    tenant: str | None = None
    credential_id: str | None = None  # which credential the caller used: never the credential
    caller: str | None = None  # the person or program behind the call, or a hash of its name
    feature: str | None = None
    model_alias: str | None = None
    model_used: ModelUsed | None = None
    usage: Usage | None = None
    usage_estimated: bool = False  # the answer had no usage
    cost_usd: _Amount | None = None
    price_book_version: str | None = None
    cache_status: str | None = None
    fallback_step: int | None = None
    degraded: bool = False
    primary_failure_reason: str | None = None
    route_resolution: Route | None = None
    status: str = SUCCESS
    code: str | None = None
    http_status: int | None = None
    latency_s: _Amount | None = None
    ttft_s: _Amount | None = None
    region: str | None = None
    refusal: Literal["model", "routing"] | None = None
    scope_denied: bool = False
    score: float | None = None
    calls: _Count = 1  # a row of a usage export can stand for many

    @property
    def seconds(self) -> float:
        """`at` as seconds since 1970. A time without a zone is UTC. Raises ValueError if it is not a time."""
        if isinstance(self.at, str):
            moment = datetime.fromisoformat(self.at)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        return self.at


def record_decoder() -> Callable[[bytes], AuditRecord]:
    """A function from a line to its record. It raises msgspec.DecodeError (or its subclass ValidationError) if the line is not
    JSON, or not a record. Unknown fields are ignored."""
    return msgspec.json.Decoder(AuditRecord).decode

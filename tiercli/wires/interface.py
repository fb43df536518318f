"""The interface of a wire format: the API that an endpoint serves, as far as it is read here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from tiercli.audit.record import Usage
from tiercli.signals.contract import UNCLASSIFIED

CHARACTERS_A_TOKEN = 4  # the rule of thumb behind every estimate


class Request(msgspec.Struct, frozen=True):
    """The part of a request that is read. `user` and `metadata` are whatever the client wrote."""

    model: str = ""
    user: Any = None
    metadata: Any = None

    @property
    def caller(self) -> str:
        """Who calls, as the request says it: OpenAI's `user`, Anthropic's `metadata.user_id`; empty if it does not."""
        of_metadata = self.metadata.get("user_id") if isinstance(self.metadata, dict) else None
        return next((said for said in (self.user, of_metadata) if isinstance(said, str)), "")


@dataclass(slots=True)
class Reading:
    """What was read of an answer. `usage` None: it had none. `events`: those of a stream with content. `partial`: the usage is of
    the beginning only. `done`: it reached its format's end; `malformed`: it is not an answer; `error`: the structured code of an
    error inside it."""

    usage: Usage | None = None
    partial: bool = False
    events: int = 0
    characters: int = 0
    content: bool = False
    refused: bool = False
    done: bool = False
    malformed: bool = False
    error: str = ""

    @property
    def counted(self) -> int:
        """Output tokens, estimated: servers send one an event, or several together."""
        return max(self.events, -(-self.characters // CHARACTERS_A_TOKEN))


class StreamReader(Protocol):
    """Reads a stream, piece by piece, wherever the pieces are cut."""

    reading: Reading

    def feed(self, piece: bytes) -> None:
        """Read the next piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A wire format. `paths`: how the paths of its calls end. `read_whole` reads an answer that is not a stream."""

    name: str
    paths: tuple[str, ...]
    read_whole: Callable[[bytes], Reading]
    open_stream: Callable[[], StreamReader]
    credential_headers: tuple[str, ...]
    credential: Callable[[str], Mapping[str, str]]
    assumed_headers: Mapping[str, str]

    def serves(self, path: str) -> bool:
        """Whether a POST to `path`, which may have a query, is a call of a model."""
        return path.partition("?")[0].rstrip("/").endswith(self.paths)


_decode_request = msgspec.json.Decoder(Request).decode


def read_request(body: bytes) -> Request:
    """Read a request; an empty one if it is not JSON."""
    try:
        return _decode_request(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Request()


def estimated_input_tokens(body: bytes) -> int:
    """The tokens of a request's text, at four characters a token."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    if not isinstance(request, dict):
        return 0
    characters = sum(_characters(request.get(name)) for name in ("system", "prompt", "input", "instructions"))
    messages = request.get("messages")
    if isinstance(messages, list):
        characters += sum(_characters(message.get("content")) for message in messages if isinstance(message, dict))
    return max(1, characters // CHARACTERS_A_TOKEN)


def _characters(content: Any) -> int:
    """The length of a text, of a list of texts, or of parts that hold one."""
    if isinstance(content, str):
        return len(content)
    if isinstance(content, list):
        return sum(map(_characters, content))
    if isinstance(content, dict):
        return _characters(content.get("text")) + _characters(content.get("content"))
    return 0


_ERRORS = {
    "rate_limit_error": "RATE_LIMITED",
    "rate_limit_exceeded": "RATE_LIMITED",
    "overloaded_error": "RATE_LIMITED",
    "api_error": "UPSTREAM_ERROR",
    "server_error": "UPSTREAM_ERROR",
    "timeout_error": "UPSTREAM_TIMEOUT",
    "invalid_request_error": "INVALID_REQUEST",
    "authentication_error": "AUTH_FAILED",
    "permission_error": "AUTH_FAILED",
    "invalid_api_key": "AUTH_FAILED",
    "not_found_error": "MODEL_NOT_FOUND",
    "model_not_found": "MODEL_NOT_FOUND",
    "model_decommissioned": "MODEL_NOT_FOUND",
    "model_deprecated": "MODEL_NOT_FOUND",
}


def error_code_of(error: Any) -> str:
    """The structured code of an error inside an answer with status 200."""
    named = [error.get("code"), error.get("type")] if isinstance(error, dict) else []
    return next((_ERRORS[name] for name in named if isinstance(name, str) and name in _ERRORS), UNCLASSIFIED)

"""What is read of a request, in either wire: the model, who calls, and how long its text is."""

from __future__ import annotations

from typing import Any

import msgspec

from tiercli.wires.interface import CHARACTERS_A_TOKEN, characters
from tiercli.wires.json_text import read_json


class Request(msgspec.Struct, frozen=True):
    """The part of a request that is read, whatever the client wrote there."""

    model: Any = None
    user: Any = None
    metadata: Any = None

    @property
    def model_name(self) -> str:
        """The model; empty if it is not said."""
        return self.model if isinstance(self.model, str) else ""

    @property
    def caller(self) -> str:
        """Who calls, as the request says it: OpenAI's `user`, Anthropic's `metadata.user_id`; empty if it does not."""
        of_metadata = self.metadata.get("user_id") if isinstance(self.metadata, dict) else None
        return next((said for said in (self.user, of_metadata) if isinstance(said, str)), "")


class _Text(msgspec.Struct, frozen=True):
    """Where a request has its text."""

    system: Any = None
    messages: Any = None
    prompt: Any = None
    input: Any = None
    instructions: Any = None


_request = msgspec.json.Decoder(Request)
_text = msgspec.json.Decoder(_Text)


def read_request(body: bytes, *, cut: bool = False) -> Request:
    """Read a request, of which only the beginning may be there; an empty one if it is not a JSON object."""
    return read_json(body, _request, cut=cut, half_texts=False) or Request()


def estimated_input_tokens(body: bytes, *, cut: bool = False, size: int = 0) -> int:
    """The tokens of a request's text, at four characters a token. Of one that was cut, its `size` in bytes counts as text."""
    if cut:
        return size // CHARACTERS_A_TOKEN
    text = read_json(body, _text)
    if text is None:
        return 0
    said = sum(map(characters, (text.system, text.messages, text.prompt, text.input, text.instructions)))
    return max(1, said // CHARACTERS_A_TOKEN)

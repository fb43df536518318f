"""The interface of a wire format: the API that an endpoint serves, as far as it is read here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tiercli.audit.record import Usage
from tiercli.wires.named_errors import REFUSED, code_of_error

CHARACTERS_A_TOKEN = 4  # the rule of thumb behind every estimate


@dataclass(slots=True)
class Tokens:
    """What an answer has said of its tokens so far; None: nothing. `cache_in_prompt`: the prompt's figure has those from and into
    the cache in it, as OpenAI's has."""

    prompt: int | None = None
    answer: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_in_prompt: bool = False

    def say(self, **figures: object) -> None:
        """Take newer figures, by the names of the fields. What is no number, or below 0, says nothing; and a 0 takes nothing
        back: servers send it where a chunk has nothing to add."""
        for name, figure in figures.items():
            number = whole_number(figure)
            if number or (number is not None and getattr(self, name) is None):
                setattr(self, name, number)

    @property
    def fresh(self) -> int | None:
        """Tokens of the prompt that are neither from nor into the cache; None if nothing was said. No prompt has none at all."""
        cached = (self.cache_read or 0) + (self.cache_write or 0)
        if not self.prompt and not cached:
            return None
        prompt = self.prompt or 0
        return prompt - cached if self.cache_in_prompt and prompt >= cached else prompt


@dataclass(slots=True)
class Reading:
    """What was read of an answer. `model`: the one that it names. `events`: those of a stream with content. `vectors`: it holds
    embeddings, which are no tokens. `partial`: what was said of the output is of its beginning only. `done`: it reached its
    format's end; `malformed`: it is not an answer; `error`: the structured code of an error inside it."""

    tokens: Tokens = field(default_factory=Tokens)
    model: str = ""
    partial: bool = False
    events: int = 0
    characters: int = 0
    content: bool = False
    vectors: bool = False
    refused: bool = False
    done: bool = False
    malformed: bool = False
    error: str = ""

    @property
    def counted(self) -> int:
        """Output tokens, estimated: servers send one an event, or several together."""
        return max(self.events, -(-self.characters // CHARACTERS_A_TOKEN))

    @property
    def usage(self) -> Usage | None:
        """Tokens as said; of the output, where that is not said, an estimate. None: of the input and the output nothing was said,
        or zeros, which no call has."""
        said = self.tokens
        if said.fresh is None and not said.answer:
            return None
        return Usage(said.fresh or 0, self.output[0], said.cache_read or 0, said.cache_write or 0)

    @property
    def estimated(self) -> bool:
        """Whether `usage` has figures that the answer does not state. Where `tokens.fresh` is None, the input is not estimated
        yet."""
        return self.tokens.fresh is None or self.output[1]

    def note_text(self, *texts: object) -> None:
        """Content came: count its characters."""
        self.content = True
        self.characters += sum(map(characters, texts))

    def note_error(self, error: Any) -> None:
        """An error came. A filter's refusal in its form is an answer."""
        code = code_of_error(error)
        if code == REFUSED:
            self.refused = self.done = True
        else:
            self.error = code or self.error

    @property
    def output(self) -> tuple[int, bool]:
        """Output tokens, and whether they are estimated."""
        said = self.tokens.answer
        if self.vectors:
            return said or 0, False
        if self.partial or not self.done:  # a stream that broke off
            return max(said or 0, self.counted), self.partial or said is None or said < self.counted
        if said or not self.content:
            return said or 0, False
        return max(1, self.counted), True


class StreamReader(Protocol):
    """Reads a stream, piece by piece, wherever the pieces are cut."""

    reading: Reading

    def feed(self, piece: bytes) -> None:
        """Read the next piece."""

    def close(self) -> None:
        """The stream is over."""


class WholeReader(Protocol):
    """Reads an answer that is not a stream. `cut`: only its beginning is there."""

    def __call__(self, content: bytes, cut: bool = False) -> Reading: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A wire format. `paths`: how the paths of its calls end."""

    name: str
    paths: tuple[str, ...]
    read_whole: WholeReader
    open_stream: Callable[[], StreamReader]
    credential_headers: tuple[str, ...]
    credential: Callable[[str], Mapping[str, str]]
    assumed_headers: Mapping[str, str]

    def serves(self, path: str) -> bool:
        """Whether a POST to `path`, which may have a query, is a call of a model."""
        return path.partition("?")[0].rstrip("/").endswith(self.paths)


def whole_number(value: object) -> int | None:
    """A count as servers write it, 12 or 12.0; None for anything else, and below 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 53:
        return None
    return int(value)


def characters(content: object) -> int:
    """The length of a text, of a list of texts, or of parts that hold one: not that of a picture."""
    if isinstance(content, str):
        return len(content)
    if isinstance(content, list):
        return sum(map(characters, content))
    if isinstance(content, dict):
        return sum(characters(content.get(name)) for name in ("text", "content", "thinking", "refusal"))
    return 0

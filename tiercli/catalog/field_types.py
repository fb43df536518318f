"""The types of a catalog's values: names, durations, addresses, and the base of every entry."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from tiercli.durations import parse_duration

Tier = Literal["local", "cloud"]
Severity = Literal["page", "notify", "trend"]

LONGEST_DURATION_S = 365 * 86_400
HIGHEST_PORT = 65_535


_BREAK = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@lru_cache(maxsize=8192)  # thousands of tenants repeat features and aliases
def _check_name(value: str) -> str:
    if value != value.strip():
        raise ValueError("a name cannot begin or end with a space")
    if not value.isprintable() and _BREAK.search(value):
        raise ValueError("a name cannot hold a control character or a line break")
    return value


def _check_duration(value: str) -> str:
    if parse_duration(value) > LONGEST_DURATION_S:
        raise ValueError(f"{value!r} is longer than a year")
    return value


def _check_span(value: str) -> str:
    if parse_duration(value) <= 0:
        raise ValueError(f"{value!r} is not longer than 0s")
    return value


def _check_interval(value: str) -> str:
    return _check_span(_check_duration(value))


def _check_port(value: str) -> str:
    port = int(value.rpartition(":")[2])
    if port > HIGHEST_PORT:
        raise ValueError(f"{port} is not a port: the highest is {HIGHEST_PORT}")
    return value


def check_url_port(value: str) -> str:
    """`value`, a URL with a host and a valid port. Raises ValueError for another."""
    parts = urlsplit(value)
    try:
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError as error:
        raise ValueError(f"{value!r} has no valid port: the highest is {HIGHEST_PORT}") from error
    if not parts.hostname:
        raise ValueError(f"{value!r} has no host")
    return value


# A name that becomes a label value: anything printable, because it is always quoted.
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_check_name)]
# A name that becomes an identifier in somebody else's configuration, some of which expands $ and {{.
PlainName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
Duration = Annotated[str, AfterValidator(_check_duration), Field(description="a Prometheus duration: 30s, 5m, 1h30m")]
Span = Annotated[str, AfterValidator(_check_span), Field(description="a Prometheus duration above 0: 90d, 7y")]
Interval = Annotated[str, AfterValidator(_check_interval), Field(description="a Prometheus duration above 0")]
# One line of printable text.
Line = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_check_name)]
HostPort = Annotated[
    str,
    StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"),
    AfterValidator(_check_port),
]


class Model(BaseModel):
    """The base of every catalog entry: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

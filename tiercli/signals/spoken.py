"""How a simulation speaks a source: what each of its metrics counts, so that a sandbox exposes what the source would."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import jinja2
from pydantic import Field, field_validator

from tiercli.catalog.field_types import Model

# What happens in a simulation, or is there at a scrape: the facts that expressions can name, then the amounts.
_PLACE = ("provider", "model", "region", "deployment")
_CALLER = ("alias", "tenant", "feature")
_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
Event = Literal["attempt", "call", "fall", "answer", "server", "gpu"]
FACTS: Mapping[Event, tuple[str, ...]] = {
    # Of a gateway. `status`: HTTP's, "" without an answer; `code`: of the contract, "" for success; `stream`: "yes" or "".
    "attempt": (*_PLACE, *_CALLER, "step", "status", "code", "stream"),
    # The place of a call is that of its last attempt, "" without one.
    "call": (*_PLACE, *_CALLER, "step", "status", "code", "stream"),
    # From one candidate to the next. `rescued`: "yes" where the next one answered.
    "fall": (*_PLACE, *_CALLER, "to_provider", "to_model", "to_region", "to_deployment", "status", "code", "rescued"),
    # Of a server: an answer that has ended, and what is there now, by model.
    "answer": ("model", "server", "stream"),
    "server": ("model", "server"),
    "gpu": ("gpu", "uuid", "server"),
}
AMOUNTS: Mapping[Event, tuple[str, ...]] = {
    "attempt": ("seconds", "ttft_seconds", "cost_usd", *_TOKENS),
    "call": ("seconds", "ttft_seconds", "cost_usd", *_TOKENS),
    "fall": (),
    "answer": ("seconds", "ttft_seconds", "queue_seconds", "input_tokens", "output_tokens"),
    "server": ("running", "waiting", "cache_ratio"),
    "gpu": ("busy_ratio", "memory_used_bytes", "memory_free_bytes", "memory_total_bytes", "power_watts", "celsius"),
}
STATES = ("server", "gpu")  # there at a scrape; the others happen, and are counted


class SpokenMetric(Model):
    """What one metric counts, or shows.

    Expressions are Jinja's, over the event's facts.
    """

    of: Event
    when: str | None = Field(default=None, description="an expression: which of these events")
    amount: str | None = Field(
        default=None, description="what is added, observed or shown; 1 if not named. An event without it does not count"
    )
    times: float = Field(default=1.0, description="the source's unit: 1000 for milliseconds")
    labels: dict[str, str] = Field(default={}, description="as `labels` of the source, for this metric alone")
    of_last_minute: bool = Field(default=False, description="a gauge: the sum of the last minute")
    quantile: float | None = Field(
        default=None, gt=0, lt=1, description="with of_last_minute: this in place of the sum"
    )


class Spoken(Model):
    """A source's metrics as a simulation speaks them: those that signals read, and no others."""

    labels: dict[str, str] = Field(
        default={},
        description="expressions by label; without one a label has the value of its dimension in label_values, or none",
    )
    absent: str = Field(default="", description="the value of a label that has none")
    metrics: dict[str, tuple[SpokenMetric, ...]] = {}

    @field_validator("metrics", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        # Strictly, only a tuple is one: after this it is no longer read as JSON.
        return {
            name: (entry,) if isinstance(entry, Mapping) else tuple(entry) if isinstance(entry, list) else entry
            for name, entry in value.items()
        }


@lru_cache(maxsize=1024)
def fact_expression(text: str) -> Any:
    """An expression, to be called with an event's facts. Raises jinja2.TemplateError."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - not HTML
    return environment.compile_expression(text, undefined_to_none=False)

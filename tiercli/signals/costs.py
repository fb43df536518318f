"""What an attempt costs by the price book: tokens, or the share of a local server's GPU time."""

from __future__ import annotations

from typing import Protocol


class TokenPrice(Protocol):
    """US dollars per million tokens. Without a price of their own, cache reads and writes cost what input does."""

    @property
    def input(self) -> float: ...
    @property
    def output(self) -> float: ...
    @property
    def cache_read(self) -> float | None: ...
    @property
    def cache_write(self) -> float | None: ...


def token_cost_usd(
    price: TokenPrice, *, input_tokens: float, output_tokens: float, cache_read: float = 0, cache_write: float = 0
) -> float:
    """US dollars of these tokens."""
    cached = price.input if price.cache_read is None else price.cache_read
    written = price.input if price.cache_write is None else price.cache_write
    usd = input_tokens * price.input + output_tokens * price.output + cache_read * cached + cache_write * written
    return usd / 1e6


def gpu_cost_usd(gpus: int, concurrency: int | None, seconds: float, gpu_usd_per_hour: float) -> float:
    """US dollars of the GPU time that an attempt of `seconds` held: its slot's share of the server's GPUs. Without GPUs, 0."""
    return gpus * gpu_usd_per_hour / 3600 * seconds / (concurrency or 1)

"""Waiting for what happens in other processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def eventually(what: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Return once `what` is true. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not await what():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.05)

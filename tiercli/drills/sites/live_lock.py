"""One drill at a time in an environment: a lock that every machine sees, and that a dead drill does not hold.

The lock is a silence in the environment's Alertmanager, of an alert that nothing ever fires: it reaches every machine that drills
there, says who holds it, and ends by itself when it is not renewed.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import platform
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from tiercli.clients.alertmanager import AlertmanagerClient, Silence
from tiercli.conventions import ENV_LABEL, ESTATE_LABEL
from tiercli.errors import BackendError, BackendUnreachable

LOCK_ALERT = "TiercliDrill"  # nothing fires it: the silence silences nothing
LEASE_S = 30.0
_PAST_S = 86_400.0


class DrillLock:
    """A lock that is held. `renew` begins its lease anew."""

    def __init__(self, client: AlertmanagerClient, silence: Silence) -> None:
        self._client = client
        self._silence = silence
        self._renewed_at = time.monotonic()

    async def keep(self) -> None:
        """Renew it until cancelled. Raises BackendError where it is lost: another has it, or Alertmanager did not answer for as long
        as the lease lasts."""
        while True:
            await asyncio.sleep(LEASE_S / 6)
            try:
                await self._renew()
            except BackendUnreachable:
                if time.monotonic() - self._renewed_at > LEASE_S:
                    raise

    async def _renew(self) -> None:
        wanted = replace(self._silence, ends_at=time.time() + LEASE_S)
        held = await self._client.put_silence(wanted)
        if held != self._silence.id:  # it had ended, and this made another
            await self._client.end_silence(held)
            raise BackendError(
                "the lock of this environment was lost: it was not renewed in time, or somebody ended it"
            )
        self._silence = wanted
        self._renewed_at = time.monotonic()

    async def release(self) -> None:
        """Give it back; where that fails, it ends by itself."""
        with contextlib.suppress(BackendError):
            await self._client.end_silence(self._silence.id)


async def check_free(client: AlertmanagerClient, estate: str, env: str) -> None:
    """Raises BackendError where a drill has the lock of an environment, saying whose."""
    if others := await client.silences(_matchers(estate, env)):
        raise _taken(others[0])


@asynccontextmanager
async def locked(client: AlertmanagerClient, estate: str, env: str, drill: str) -> AsyncIterator[DrillLock]:
    """Hold the lock of an environment. Raises BackendError where another drill has it, saying whose."""
    await check_free(client, estate, env)
    matchers = _matchers(estate, env)
    now = time.time()
    who = f"tiercli, {_user()} on {platform.node()}"
    # What begins in the past begins now, by Alertmanager's own clock: that of whoever asks decides nothing.
    message = f"the drill {drill} is running; it silences nothing"
    silence = Silence("", matchers, who, message, now - _PAST_S, now + LEASE_S)
    silence = replace(silence, id=await client.put_silence(silence))
    lock = DrillLock(client, silence)
    try:
        # Two may have asked at once: the one whose lock began first, or has the smaller id, keeps it.
        present = await client.silences(matchers)
        if present and present[0].id != silence.id:
            raise _taken(present[0])
        # It is changed only by who knows when it began.
        lock = DrillLock(
            client, next((present_silence for present_silence in present if present_silence.id == silence.id), silence)
        )
        yield lock
    finally:
        await asyncio.shield(lock.release())


def _matchers(estate: str, env: str) -> dict[str, str]:
    return {"alertname": LOCK_ALERT, ESTATE_LABEL: estate, ENV_LABEL: env}


def _taken(by: Silence) -> BackendError:
    return BackendError(
        f"another drill runs in this environment: {by.comment.partition(';')[0]} ({by.created_by})",
        hint=f"its lock ends {LEASE_S:g} s after its drill at the latest; amtool silence query alertname={LOCK_ALERT} shows it",
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"

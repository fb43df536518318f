"""The endpoint says that another region served the call, as a provider does that moves traffic: a zone violation."""

from __future__ import annotations

import urllib.parse
from dataclasses import replace
from typing import Annotated

from pydantic import StringConstraints

from tiercli.faults.kinds.interface import Answer, Call, FaultKind, FaultSettings, Forward

HEADER = "x-served-region"


class WrongRegionSettings(FaultSettings):
    """`region`: what the answers say instead."""

    region: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class WrongRegion:
    """Passes everything on, under another region's name."""

    def __init__(self, settings: WrongRegionSettings) -> None:
        # Header values are latin-1 on the wire: names of any script travel percent-encoded.
        self._region = urllib.parse.quote(settings.region, safe="")

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """The endpoint's own answer, with the region's name changed."""
        answer = await forward()
        kept = tuple((name, value) for name, value in answer.headers if name.lower() != HEADER)
        return replace(answer, headers=(*kept, (HEADER, self._region)))


WRONG_REGION = FaultKind(
    name="wrong-region",
    summary="answers say that another region served them",
    settings=WrongRegionSettings,
    build=WrongRegion,
)

"""The wire formats that can be measured: the registry. One file a format."""

from __future__ import annotations

from tiercli.wires.anthropic import ANTHROPIC
from tiercli.wires.interface import Wire
from tiercli.wires.openai import OPENAI

WIRES: dict[str, Wire] = {wire.name: wire for wire in (OPENAI, ANTHROPIC)}

__all__ = ["WIRES"]

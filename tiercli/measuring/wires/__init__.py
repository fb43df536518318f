"""The wire formats that can be measured: the registry. One file a format."""

from __future__ import annotations

from tiercli.measuring.wires.anthropic import ANTHROPIC
from tiercli.measuring.wires.interface import Wire
from tiercli.measuring.wires.openai import OPENAI

WIRES: dict[str, Wire] = {wire.name: wire for wire in (OPENAI, ANTHROPIC)}

__all__ = ["WIRES"]

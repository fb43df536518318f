"""Real programs in place of simulated ones, where they are installed. To add one: a file here, and its line in REAL_PARTS."""

from __future__ import annotations

from collections.abc import Mapping

from tiercli.sandbox.real_parts.interface import RealPart
from tiercli.sandbox.real_parts.litellm import LiteLLM
from tiercli.sandbox.real_parts.llamacpp import LlamaCpp

REAL_PARTS: Mapping[str, RealPart] = {part.name: part for part in (LiteLLM(), LlamaCpp())}

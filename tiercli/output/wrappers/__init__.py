"""Forms that the generated tree can take. One file a wrap; to add one: its file, one line here."""

from __future__ import annotations

from tiercli.output.wrappers import grafana_operator, kubernetes, mimir, plain
from tiercli.output.wrappers.interface import Wrap, WrapOptions

__all__ = ["WRAPS", "WrapOptions"]

WRAPS: dict[str, Wrap] = {wrap.name: wrap for wrap in (plain.WRAP, kubernetes.WRAP, grafana_operator.WRAP, mimir.WRAP)}

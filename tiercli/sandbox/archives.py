"""The upstream release archives that `tiercli stack install` takes where apt cannot be used, pinned by SHA-256."""

from __future__ import annotations

from tiercli.sandbox.installer import Archive

ARCHIVES: tuple[Archive, ...] = ()

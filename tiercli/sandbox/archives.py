"""The upstream release archives that `tiercli stack install` takes where apt cannot be used, pinned by SHA-256.

The sums are those of the releases' own sha256sums.txt, as distributions that pin the same releases state them too.
"""

from __future__ import annotations

from tiercli.sandbox.installer import Archive

ARCHIVES: tuple[Archive, ...] = (
    Archive(
        name="prometheus",
        version="3.5.0",
        path="prometheus/prometheus/releases/download/v{version}/prometheus-{version}.{system}.tar.gz",
        sha256={
            "linux-amd64": "e811827af26d822afb09a4f28314f61b618b12cff5369835a67f674d8b46f39a",
            "linux-arm64": "173389cc42bf09c4e6e54cb53fa07a5a835d7c261e14775d2183181d6e385d1c",
        },
        programs=("prometheus", "promtool"),
    ),
    Archive(
        name="alertmanager",
        version="0.28.1",
        path="prometheus/alertmanager/releases/download/v{version}/alertmanager-{version}.{system}.tar.gz",
        sha256={
            "linux-amd64": "5ac7ab5e4b8ee5ce4d8fb0988f9cb275efcc3f181b4b408179fafee121693311",
            "linux-arm64": "d8832540e5b9f613d2fd759e31d603173b9c61cc7bb5e3bc7ae2f12038b1ce4f",
        },
        programs=("alertmanager", "amtool"),
    ),
)

"""Every file and folder of the repository that code, templates, docs or the Makefile name exists."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TRACKED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
    cwd=ROOT, capture_output=True, text=True, check=True,
).stdout.splitlines()  # fmt: skip
PATHS = {path for path in TRACKED if (ROOT / path).exists()}
FOLDERS = {str(parent) for path in PATHS for parent in Path(path).parents}
# Modules, pages and templates under any part of their path; data files only under a folder of the repository.
FILE = re.compile(r"(?<![\w*./}\\-])(?:[\w.-]+/)*[\w-]+(?:(?:\.\w+)?\.j2|\.py|\.md)\b")
BELOW = re.compile(r"(?<![\w*./}-])(?:tiercli|docs|templates|catalogs|drills|tests|\.ci)/[\w./-]*\w/?")
# Of an operator (ours/), or inside a wheel only (tiercli/resources).
PLACEHOLDER = re.compile(r"NAME|FOLDER|area/name|^ours/|^our-alarms/|^tiercli/resources")
# What a binding was held against lies with its source.
ELSEWHERE = re.compile(r"^  - \{version: .*, where: .*$", re.MULTILINE)
# What the guides invent, and what is generated.
EXAMPLES = {
    "drill.yaml", "QuotaHeadroomLow.yml.j2", "runbooks/QuotaHeadroomLow.md", "k8s/kubernetes/README.md",
}  # fmt: skip


def named_in(text: str) -> set[str]:
    """The paths that a text names, without an anchor or a full stop after them."""
    return {match.rstrip(".") for pattern in (FILE, BELOW) for match in pattern.findall(text)}


def exists(path: str) -> bool:
    path = path.rstrip("/")
    return any(known == path or known.endswith(f"/{path}") for known in PATHS | FOLDERS) or path in PATHS | FOLDERS


def test_the_pattern_sees_paths() -> None:
    text = "see docs/kubernetes.md, lint/gone.py and templates/alerts/; drills/gone.yaml is not there. catalogs/hybrid.yaml."
    assert {path for path in named_in(text) if not exists(path)} == {"lint/gone.py", "drills/gone.yaml"}


SOURCES = sorted(
    path for path in PATHS
    if path.endswith((".py", ".md", ".j2", ".yaml", ".toml", "Makefile"))
    and not path.startswith(("tests/", "docs/decisions/"))
)  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_what_a_file_names_exists(source: str) -> None:
    named = named_in(ELSEWHERE.sub("", (ROOT / source).read_text(encoding="utf-8")))
    beside = {path for path in named if (ROOT / source).parent.joinpath(path).exists()}
    missing = {path for path in named - beside - EXAMPLES if not exists(path) and not PLACEHOLDER.search(path)}
    assert not missing, f"{source} names {', '.join(sorted(missing))}"

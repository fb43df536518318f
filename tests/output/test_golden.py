"""What every shipped catalog generates, in every form, held by tests/golden: `manifest.json` has the digest of every generated
file, and the files that are worth reading are kept whole. `make golden` rewrites; `make golden-diff` shows every difference."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tiercli.catalog.loading import load_catalog
from tiercli.conventions import MANIFEST_FILE
from tiercli.output.tree import render_tree
from tiercli.output.wrappers import WRAPS
from tiercli.output.wrapping import read_options, wrap_tree
from tiercli.rules.deployment import Deployment

GOLDEN = ROOT / "tests" / "golden"
CATALOGS = sorted(path.stem for path in (ROOT / "catalogs").glob("*.yaml"))

# Patterns of the files that are kept whole, by catalog.
KEPT_WHOLE = {
    "hybrid": (
        "alertmanager/*",
        "fragments/*",
        "grafana/dashboards/overview.json",
        "grafana/provisioning/*",
        "prometheus/prometheus.yml",
        "prometheus/rules/*",
        "prometheus/tests/GatewayDown_*",
        "prometheus/tests/QuotaBucketSaturated_*",
        "runbooks/ProviderDown.md",
    ),
    "minimal": (
        "grafana-operator/dashboard-home.yaml",
        "kubernetes/README.md",
        "kubernetes/alertmanagerconfig.yaml",
        "kubernetes/dashboard-home.yaml",
        "kubernetes/prometheusrule-*.yaml",
        "mimir/rules.yaml",
    ),
}


def generated(name: str) -> dict[str, str]:
    """What `tiercli generate catalogs/NAME.yaml` writes with a --wrap of every form: text by path."""
    loaded = load_catalog(ROOT / "catalogs" / f"{name}.yaml")
    catalog = loaded.catalog
    wraps, options = read_options(catalog, WRAPS, namespace=None, labels=(), instances=(), secret=None)
    return wrap_tree(render_tree(loaded, Deployment.production(catalog)), wraps, options)


def kept_whole(name: str, tree: Mapping[str, str]) -> dict[str, str]:
    """The part of `tree` that tests/golden/NAME has: the manifest, and the files that are kept whole."""
    patterns = (MANIFEST_FILE, *KEPT_WHOLE.get(name, ()))
    kept = {pattern: [path for path in tree if fnmatch(path, pattern)] for pattern in patterns}
    assert all(kept.values()), f"patterns that match no generated file: {[key for key in kept if not kept[key]]}"
    return {path: tree[path] for paths in kept.values() for path in paths}


def rewrite(folder: Path, files: Mapping[str, str]) -> None:
    """Make `folder` hold `files` and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def differences(folder: Path, files: Mapping[str, str]) -> Iterator[str]:
    """Names every generated file that the manifests of `folder` and of `files` do not agree on; then the lines of each file
    that is kept whole and differs."""
    golden = {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}
    before = json.loads(golden.get(MANIFEST_FILE, '{"files": {}}'))["files"]
    after = json.loads(files[MANIFEST_FILE])["files"]
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            yield f"{'added' if path not in before else 'removed' if path not in after else 'changed'}: {path}"
    for path in sorted(golden.keys() | files.keys()):
        if golden.get(path) != files.get(path):
            lines = (
                re.sub(r"[0-9a-f]{64}", "…", text).splitlines() for text in (golden.get(path, ""), files.get(path, ""))
            )
            yield from ("", *difflib.unified_diff(*lines, f"golden/{path}", f"generated/{path}", lineterm=""))


@pytest.mark.parametrize("name", CATALOGS)
def test_golden(name: str) -> None:
    tree = generated(name)
    digests = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in tree.items() if path != MANIFEST_FILE}
    assert json.loads(tree[MANIFEST_FILE])["files"] == digests
    files = kept_whole(name, tree)
    if os.environ.get("TIERCLI_GOLDEN") == "update":
        rewrite(GOLDEN / name, files)
    lines = list(differences(GOLDEN / name, files))
    if lines:
        lines = [f"catalogs/{name}.yaml generates other files than tests/golden/{name} has", *lines, ""]
        lines += ["make golden-diff shows every line that differs from the last commit; when it is right: make golden"]
        pytest.fail("\n".join(lines), pytrace=False)


def test_golden_folders_are_those_of_catalogs() -> None:
    stale = {path.name for path in GOLDEN.iterdir()} - set(CATALOGS)
    if os.environ.get("TIERCLI_GOLDEN") == "update":
        for name in stale:
            shutil.rmtree(GOLDEN / name)
    assert not [path for path in GOLDEN.iterdir() if path.name not in CATALOGS]
    assert set(KEPT_WHOLE) <= set(CATALOGS)

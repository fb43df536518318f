"""Golden cases: whole small directories. An extra or missing file fails; TIERCLI_GOLDEN=update rewrites."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

GOLDEN = Path(__file__).resolve().parent / "golden"


def check_golden(name: str, tree: Mapping[str, str]) -> None:
    """Compare `tree` with the folder tests/golden/`name`, file by file, or rewrite the folder."""
    folder = GOLDEN / name
    if os.environ.get("TIERCLI_GOLDEN") == "update":
        shutil.rmtree(folder, ignore_errors=True)
        for path, text in tree.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
    kept = {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()
    }
    assert sorted(tree) == sorted(kept), "the files differ: review, then make golden"
    for path, text in tree.items():
        assert text == kept[path], f"{path} differs from {folder / path}: review, then make golden"

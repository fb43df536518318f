"""GrafanaDashboard objects for Grafana Operator (grafana.integreatly.org/v1beta1)."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import PurePosixPath

from tiercli.output.tree import to_yaml
from tiercli.output.wrappers.interface import Tree, Wrap, WrapOptions
from tiercli.output.wrappers.objects import MOST_BYTES, Object, build_object, object_name, size_of, too_large

FOLDER = "grafana-operator"
_BOARDS = "grafana/dashboards/"


def _render(tree: Tree, options: WrapOptions) -> dict[str, str]:
    boards = {PurePosixPath(path).stem: text for path, text in tree.items() if path.startswith(_BOARDS)}
    return {
        f"{FOLDER}/dashboard-{board}.yaml": to_yaml(_dashboard(board, text, options))
        for board, text in sorted(boards.items())
    }


def _dashboard(board: str, text: str, options: WrapOptions) -> Object:
    content = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    made = _object(board, {"json": content}, options)
    if size_of(made) > MOST_BYTES:
        # The time in the header would differ in every run.
        packed = base64.b64encode(gzip.compress(content.encode(), mtime=0)).decode()
        made = _object(board, {"gzipJson": packed}, options)
    if size_of(made) > MOST_BYTES:
        raise too_large(f"dashboard {board}", size_of(made))
    return made


def _object(board: str, content: dict[str, str], options: WrapOptions) -> Object:
    spec = {
        "instanceSelector": {"matchLabels": dict(options.instances)},
        "folder": options.folder,
        **content,
    }
    name = object_name(options, "dashboard", board)
    return build_object(options, "grafana.integreatly.org/v1beta1", "GrafanaDashboard", name, {"spec": spec})


def _rules(tree: Tree) -> str | None:
    return None


WRAP = Wrap(FOLDER, "GrafanaDashboard objects", _render, _rules)

"""Imports run one way: between folders, between the rooms inside some of them, and nowhere in a circle of files."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "tiercli"
LAYERS = (
    {"cli"},
    {"drills", "lint", "output", "measuring"},
    {"rules", "dashboards", "cardinality", "faults", "sandbox", "clients", "exporters", "sidecar"},
    {"audit", "wires"},
    {"signals"},
    {"catalog"},
)
# Folders of one layer that may know each other: the sandbox starts the fault proxy and writes an audit log, a drill and a
# lint read output, the injectors of real environments ask servers and have an undoer.
BESIDE = {
    ("sandbox", "faults"), ("drills", "output"), ("lint", "output"), ("wires", "audit"),
    ("faults", "clients"), ("faults", "sidecar"), ("sandbox", "sidecar"), ("sandbox", "exporters"),
}  # fmt: skip
# The rooms inside a folder, the lowest first; "" is the folder's own files. A room imports from itself and from those before it.
ROOMS = {
    "drills": ("spec", "record", "load", "sites", "judge", "report", "run", "", "blind"),
    "faults": ("kinds", "proxy", "environment"),
    "dashboards": ("read", "build", ""),
}
ONLY_IN = {"grafanalib": {"dashboards"}, "locust": set(), "gevent": set(), "pynvml": {"drills", "exporters"}}


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }


def internal_imports(known: Mapping[str, Path]) -> dict[str, set[str]]:
    """The modules of the package that each of them imports: at its top, inside functions and for types only."""
    imports: dict[str, set[str]] = {}
    for name, path in known.items():
        found = imports[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.update(
                    full if (full := f"{node.module}.{alias.name}") in known else node.module for alias in node.names
                )
        found.intersection_update(known)
    return imports


def first_circle(imports: Mapping[str, set[str]]) -> list[str]:
    """A circle of modules that import each other; empty where there is none."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for imported in sorted(imports[name] - {name}):
            if circle := walk(imported, [*path, name]):
                return circle
        done.add(name)
        return []

    return next((circle for name in sorted(imports) if (circle := walk(name, []))), [])


def layer_of(folder: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if folder in layer)


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_below(path: Path) -> None:
    here = path.relative_to(PACKAGE).parts[0]
    for module in imports_of(path):
        parts = module.split(".")
        if parts[0] in ONLY_IN:
            assert here in ONLY_IN[parts[0]], f"{module} is imported in {here}"
        if parts[0] != "tiercli" or len(parts) < 2 or not (PACKAGE / parts[1]).is_dir():
            continue
        there = parts[1]
        allowed = there == here or (here, there) in BESIDE or layer_of(there) > layer_of(here)
        assert allowed, f"{here} imports {module}"


def test_no_files_import_each_other_in_a_circle() -> None:
    assert first_circle(internal_imports(modules())) == []


def test_a_circle_is_found() -> None:
    assert first_circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]
    assert first_circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("folder", ROOMS)
def test_a_room_imports_only_from_rooms_before_it(folder: str) -> None:
    rooms, known = ROOMS[folder], modules()

    def room_of(module: str) -> str:
        parts = known[module].relative_to(PACKAGE).parts
        return parts[1] if len(parts) > 2 else ""

    inside = {name for name in known if name.startswith(f"tiercli.{folder}.")}
    wrong = [
        f"{name} imports {imported}"
        for name, imports in internal_imports(known).items()
        for imported in imports & inside
        if name in inside and rooms.index(room_of(imported)) > rooms.index(room_of(name))
    ]
    assert wrong == []


def test_help_loads_nothing_heavy() -> None:
    heavy = ["pydantic", "aiohttp", "httpx", "grafanalib", "jinja2", "locust", "promql_parser", "yaml", "rich.live"]
    code = f"import json, sys, tiercli.cli.main; print(json.dumps([name for name in {heavy!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_every_public_function_says_what_it_does() -> None:
    silent = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            public = isinstance(
                node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
            ) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):  # type: ignore[arg-type]
                silent.append(f"{path.relative_to(PACKAGE)}: {node.name}")  # type: ignore[attr-defined]
    assert silent == []

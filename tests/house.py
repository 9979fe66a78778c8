"""The import graph of the source tree, read as text: modules, and the rooms (folders) that they live in."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("bench", "datasets", "models", "results", "unlearning", "hydra_plugins")

Graph = dict[str, set[str]]


def modules() -> dict[str, Path]:
    """Every module of the source tree by its dotted name; a package by its own name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: Iterable[str]) -> set[str]:
    """Modules among ``known`` that a file imports anywhere: at the top, inside functions, for types."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name for name in below if name in known} or {node.module}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names & set(known)


def module_graph() -> Graph:
    """By module, what it imports."""
    every = modules()
    return {name: imports(path, every) - {name} for name, path in every.items()}


def room_of(module: str, path: Path) -> str:
    """The folder that a module lives in, dotted."""
    return module if path.name == "__init__.py" else module.rpartition(".")[0]


def room_graph() -> Graph:
    """By room, the rooms it imports from. The modules beside the rooms of a package stand for themselves."""
    every = modules()
    rooms = {name: room_of(name, path) for name, path in every.items()}
    inner = {room for room in rooms.values() if "." in room}
    place = {
        name: name if room in PACKAGES and any(r.startswith(f"{room}.") for r in inner) else room
        for name, room in rooms.items()
    }
    graph: Graph = {}
    for name, targets in module_graph().items():
        graph.setdefault(place[name], set()).update(place[t] for t in targets if place[t] != place[name])
    return graph


def circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """The names on one circle of a graph, in order; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []

"""The tree itself: rooms with a purpose, no circle, arrows that point one way, a map that is true."""

from __future__ import annotations

import ast

import pytest

from tests.house import PACKAGES, ROOT, circle, module_graph, modules, room_graph, room_of
from tests.programs.house_map import DESIGN, drawn

MODULES = modules()
ROOMS = sorted({room_of(name, path) for name, path in MODULES.items()})
MOST_FILES = 8
ALLOWED = {
    "datasets": set(),
    "models": {"datasets"},
    "unlearning": {"datasets", "models"},
    "bench": {"datasets", "models", "unlearning", "results"},
    "results": {"bench", "datasets", "unlearning"},
    "hydra_plugins": {"bench"},
}
"""Which top-level packages a package may import from."""
MEETING_PLACE = "bench.__main__"
"""The only module of ``bench`` that imports ``results``."""


def test_the_import_graph_of_modules_has_no_circle() -> None:
    assert circle(module_graph()) == []


def test_the_import_graph_of_rooms_has_no_circle() -> None:
    assert circle(room_graph()) == []


def test_a_circle_is_found() -> None:
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}


def test_packages_import_in_one_direction() -> None:
    for name, targets in module_graph().items():
        package = name.partition(".")[0]
        reached = {target.partition(".")[0] for target in targets} - {package}
        assert reached <= ALLOWED[package], f"{name} imports from {reached - ALLOWED[package]}"
        if "results" in reached:
            assert name == MEETING_PLACE


@pytest.mark.parametrize("room", [room for room in ROOMS if room.startswith("bench.")])
def test_a_room_of_the_harness_is_small(room: str) -> None:
    files = sorted(path.name for path in (ROOT / room.replace(".", "/")).glob("*.py"))
    assert len(files) <= MOST_FILES, f"{room} holds {len(files)} files: {files}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_for(room: str) -> None:
    text = ast.get_docstring(ast.parse(MODULES[room].read_text(encoding="utf-8")))
    assert text, f"{room}/__init__.py has no docstring"


def test_other_rooms_use_only_what_a_room_exports() -> None:
    """A room's ``__init__`` names the modules that other rooms may import; it imports none of them itself,
    so that torch and MLflow are only paid for where they are used."""
    graph = module_graph()
    for name, targets in graph.items():
        for target in targets:
            room = room_of(target, MODULES[target])
            if room in PACKAGES or target == room or room_of(name, MODULES[name]) == room:
                continue
            assert target.rpartition(".")[2] in exported(room), f"{name} imports {target}"


def test_what_a_room_exports_is_there_and_used_elsewhere() -> None:
    used = {
        target
        for name, targets in module_graph().items()
        for target in targets
        if room_of(name, MODULES[name]) != room_of(target, MODULES[target])
    }
    for room in ROOMS:
        if room not in PACKAGES:
            for module in exported(room):
                assert f"{room}.{module}" in MODULES
                assert f"{room}.{module}" in used, f"{room} exports {module}, which no other room imports"


def exported(room: str) -> list[str]:
    """The modules that a room's ``__all__`` names."""
    for node in ast.parse(MODULES[room].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = [str(name) for name in ast.literal_eval(node.value)]
            # A package may export functions instead, as the top-level ones do.
            return [name for name in names if f"{room}.{name}" in MODULES]
    return []


def test_the_map_in_the_docs_is_the_tree_as_it_stands() -> None:
    assert drawn(DESIGN.read_text(encoding="utf-8")) == DESIGN.read_text(encoding="utf-8"), (
        "run python -m tests.programs.house_map"
    )

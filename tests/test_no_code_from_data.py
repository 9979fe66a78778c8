"""No code runs from data: nothing of a data folder, cache, bundle or store is unpickled or evaluated."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house import ROOT, modules

FORBIDDEN = {"eval", "exec", "compile", "__import__"}
"""Calls by name; only ``bench/config/light.py`` makes them, on the sources of registered modules."""
UNPICKLING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
LIGHT = "bench.config.light"


def calls(path: Path) -> list[ast.Call]:
    return [
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
    ]


def name_of(call: ast.Call) -> str:
    return ast.unparse(call.func)


def keyword(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(one.value) for one in call.keywords if one.arg == name), None)


@pytest.mark.parametrize("module", sorted(modules()))
def test_nothing_is_unpickled_or_evaluated(module: str) -> None:
    path = modules()[module]
    for call in calls(path):
        where, name = f"{path.relative_to(ROOT)}, line {call.lineno}", name_of(call)
        assert name not in FORBIDDEN or module == LIGHT, where
        if name.endswith(("np.load", "numpy.load")):
            assert keyword(call, "allow_pickle") in (None, "False"), where
        if name == "torch.load":
            assert keyword(call, "weights_only") == "True", where
        if re.fullmatch(r"yaml\.\w+", name):
            assert name in ("yaml.safe_load", "yaml.safe_dump", "yaml.compose"), where
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            )
            assert not {name.partition(".")[0] for name in names} & UNPICKLING, f"{path}, line {node.lineno}"


def test_what_is_executed_is_the_source_of_registered_modules(tmp_path: Path) -> None:
    """``light`` finds what it runs by the import system, by a name that a registry holds: never by a path."""
    text = modules()[LIGHT].read_text(encoding="utf-8")
    assert "importlib.util.find_spec(module)" in text
    opened = [
        name_of(call) for call in calls(modules()[LIGHT]) if name_of(call).endswith(("open", "read_text"))
    ]
    assert opened == ["file.read_text"]

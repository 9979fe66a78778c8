"""Reading options and code digests from source, without importing what is read."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.config import registry
from bench.config.registry import load_class
from bench.config.source import class_constant, code_digest, options_of

SHARED = "def scale() -> float:\n    return 1.0\n"
METHOD = '''"""A method."""
from dataclasses import dataclass
import torch_that_is_not_installed
from plugin.shared import scale
from unlearning.options import MethodOptions


@dataclass(frozen=True)
class MineOptions(MethodOptions):
    """Knobs."""
    step: float = 0.5


class Mine:
    Options = MineOptions
    exact = True
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A plug-in package whose method imports something that cannot be imported here."""
    folder = tmp_path / "plugin"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "shared.py").write_text(SHARED)
    (folder / "mine.py").write_text(METHOD)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(registry.METHODS, "mine", "plugin.mine:Mine")
    forget_caches()
    yield folder
    forget_caches()
    for name in [name for name in sys.modules if name.partition(".")[0] == "plugin"]:
        del sys.modules[name]


def forget_caches() -> None:
    for cached in (registry.registry, options_of, code_digest, class_constant):
        cached.cache_clear()


def digest_now() -> str:
    code_digest.cache_clear()
    return code_digest("method", "mine")


def test_options_and_constants_are_read_without_importing(plugin: Path) -> None:
    options = options_of("method", "mine")
    shared = ["graph_at_unlearning", "graph_at_evaluation"]
    assert [field.name for field in dataclasses.fields(options)] == [*shared, "step"]
    assert options().step == 0.5
    assert class_constant("method", "mine", "exact", default=False) is True
    assert class_constant("method", "mine", "absent", default=7) == 7
    assert "plugin.mine" not in sys.modules


def test_digest_follows_code_and_imports_but_not_comments(plugin: Path) -> None:
    before = digest_now()
    (plugin / "mine.py").write_text(METHOD.replace('"""Knobs."""', '"""Other words."""') + "# a comment\n")
    assert digest_now() == before
    (plugin / "shared.py").write_text(SHARED.replace("1.0", "2.0"))
    changed = digest_now()
    assert changed != before
    (plugin / "mine.py").write_text(METHOD.replace("0.5", "0.6"))
    assert digest_now() not in (before, changed)


@pytest.mark.parametrize(
    "line", ["from .shared import scale", "from . import shared", "from plugin import scale"]
)
def test_digest_follows_every_way_to_import_from_the_own_package(plugin: Path, line: str) -> None:
    (plugin / "mine.py").write_text(METHOD.replace("from plugin.shared import scale", line))
    before = digest_now()
    for file in ("__init__.py", "shared.py"):
        (plugin / file).write_text(SHARED.replace("1.0", "2.0"))
    assert digest_now() != before


@pytest.mark.parametrize("kind", ["backbone", "method", "reader"])
def test_every_registered_options_class_reads_as_it_imports(kind: str) -> None:
    for name in registry.registry(kind):
        imported, read = load_class(kind, name).Options, options_of(kind, name)
        assert [(f.name, f.default) for f in dataclasses.fields(imported)] == [
            (f.name, f.default) for f in dataclasses.fields(read)
        ]

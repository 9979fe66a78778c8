"""A mistake in what is registered is one sentence with file and line; the rest is read without importing."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.config import registry
from bench.config.registry import load_class, target_of
from bench.config.source import class_constant, options_of
from datasets.errors import InputError

HEAD = """from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Literal

import torch
from pydantic import Field

from models.base import Recommender
from unlearning.base import UnlearningMethod, UnlearnResult
from unlearning.options import MethodOptions

"""  # 11 lines
CLASS = """
class Mine(UnlearningMethod):
    Options = Knobs

    def unlearn(self, original, problem, recorder):
        return UnlearnResult(original)
"""
KNOBS = "@dataclass(frozen=True)\nclass Knobs(MethodOptions):\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a registered method, to be written by the test."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(registry.METHODS, "mine", "mine_for_a_test:Mine")
    caches = (registry.registry, options_of, class_constant)
    for cached in caches:
        cached.cache_clear()
    yield tmp_path / "mine_for_a_test.py"
    for cached in caches:
        cached.cache_clear()
    sys.modules.pop("mine_for_a_test", None)


def read(module: Path, text: str) -> Any:
    module.write_text(text, encoding="utf-8")
    options_of.cache_clear()
    return options_of("method", "mine")


def refusal(module: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        read(module, text)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


@pytest.mark.parametrize(
    ("above", "field", "value"),
    [
        ("STEP = 0.5\n", "step: float = STEP", 0.5),
        ("STEP: float = 1 / 4\nLARGE = 2 * STEP\n", "step: float = LARGE", 0.5),
        ("STEP = 1\nSTEP += 2\n", "step: int = STEP", 3),
        ("Ratio = Annotated[float, Field(gt=0)]\n", "step: Ratio = 0.5", 0.5),
        ("class Form(Enum):\n    SWAP = 'swap'\n", "step: Form = Form.SWAP", None),
        (
            "def start() -> tuple[int, ...]:\n    return (1, 2)\n",
            "step: tuple = field(default_factory=start)",
            (1, 2),
        ),
        ("@dataclass(frozen=True)\nclass Inner:\n    a: int = 3\n", "step: Inner = Inner()", None),
    ],
)
def test_options_may_use_what_the_file_defines_plainly(
    module: Path, above: str, field: str, value: Any
) -> None:
    options = read(module, f"{HEAD}BIG = torch.ones(3)\n{above}{KNOBS}    {field}\n{CLASS}")
    assert [one.name for one in dataclasses.fields(options)][-1] == "step"
    found = options().step
    assert found == value if value is not None else type(found).__name__ in ("Form", "Inner")
    assert "mine_for_a_test" not in sys.modules


def test_the_name_of_the_options_class_does_not_matter(module: Path) -> None:
    assert read(module, f"{HEAD}{KNOBS}    step: int = 1\n{CLASS}").__name__ == "Knobs"


def test_a_method_without_options_of_its_own_takes_the_shared_ones(module: Path) -> None:
    assert read(module, HEAD + CLASS.replace("Knobs", "MethodOptions"))().graph_at_unlearning == "retain"


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        (f"{HEAD}{KNOBS}    step: float = (1\n{CLASS}", 14, "mend the syntax"),
        (f"{HEAD}{KNOBS}    step: float = torch.pi\n{CLASS}", 14, "torch comes from torch"),
        (f"{HEAD}PI = torch.pi\n{KNOBS}    step: float = PI\n{CLASS}", 12, "torch comes from torch"),
        (f"{HEAD}if True:\n    PI = 3\n{KNOBS}    step: float = PI\n{CLASS}", 16, "PI is not set by a plain"),
        (f"{HEAD}{KNOBS}    step: flaot = 1.0\n{CLASS}", 14, "'flaot' is not defined"),
        (f"{HEAD}{KNOBS}    step: list = []\n{CLASS}", 12, "use default_factory"),
        (f"{HEAD}@dataclass\nclass Knobs(MethodOptions):\n    step: int = 1\n{CLASS}", 12, "is not frozen"),
        (f"{HEAD}@dataclass\nclass Knobs:\n    step: int = 1\n{CLASS}", 13, "Knobs is not frozen"),
        (f"{HEAD}class Knobs(MethodOptions):\n    step: int = 1\n{CLASS}", 12, "Knobs is not a dataclass"),
        (f"{HEAD}@dataclass(frozen=True)\nclass Knobs:\n    step: int = 1\n{CLASS}", 13, "(MethodOptions)"),
        (f"{HEAD}{CLASS}", 14, "'Knobs' is not defined"),
        (HEAD + CLASS.replace("    Options = Knobs\n", ""), 13, "Mine states no options"),
        (HEAD + KNOBS + "    step: int = 1\n" + CLASS.replace("Mine", "Mien"), None, "did you mean Mien?"),
    ],
)
def test_a_mistake_in_a_method_is_one_sentence_with_file_and_line(
    module: Path, text: str, line: int | None, part: str
) -> None:
    message = refusal(module, text)
    assert message.startswith(f"{module}, line {line}: " if line else f"{module} "), message
    assert part in message


def test_a_registered_module_that_is_not_there(module: Path) -> None:
    with pytest.raises(InputError, match="there is no module mine_for_a_test"):
        options_of("method", "mine")


def test_a_registration_that_is_not_module_and_class(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.METHODS, "mine", "mine_for_a_test")
    registry.registry.cache_clear()
    with pytest.raises(InputError, match=r"register it as module:Class\."):
        target_of("method", "mine")


@pytest.mark.parametrize(
    ("text", "where", "part"),
    [
        (HEAD + KNOBS + "    step: int = 1\n" + CLASS + "1 / 0\n", ", line 21: ", "ZeroDivisionError"),
        ("import nosuch_module\n", ", line 1: ", "No module named 'nosuch_module'"),
        (HEAD + "class Mine:\n    pass\n", "", "does not extend unlearning.base.UnlearningMethod"),
        (HEAD + "class Mine(UnlearningMethod):\n    pass\n", ", line 12: ", "does not define unlearn"),
        (HEAD, "", "has no attribute 'Mine'"),
    ],
)
def test_a_mistake_that_shows_only_when_the_module_is_imported(
    module: Path, text: str, where: str, part: str
) -> None:
    module.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_class("method", "mine")
    assert part in str(caught.value)
    if where:
        assert str(caught.value).startswith(f"{module}{where}")


@pytest.mark.parametrize(("value", "found"), [("EXACT", True), ("False", False)])
def test_class_constants_may_be_constants_of_the_module(module: Path, value: str, found: bool) -> None:
    module.write_text(f"EXACT = True\n\n\nclass Mine:\n    exact = {value}\n", encoding="utf-8")
    assert class_constant("method", "mine", "exact", default=None) is found


def test_a_class_constant_that_must_be_computed_is_refused(module: Path) -> None:
    module.write_text("import torch\n\n\nclass Mine:\n    exact = torch.pi > 3\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 5: exact of Mine is not a constant"):
        class_constant("method", "mine", "exact", default=None)

"""What the harness makes good, and what it refuses, of what a method leaves behind."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from bench.cell.setting import SettingStage
from bench.cell.unlearn import Unlearned, UnlearnStage, WrongResult
from bench.config.compose import expand
from bench.planning.planner import Planner
from models.base import Recommender
from tests.bench.cells import TINY
from unlearning.base import Problem, Recorder, UnlearnResult
from unlearning.finetune import Finetune


def leaves_gradients(self: Finetune, original: Recommender, problem: Problem, recorder: Recorder) -> Any:
    batch = next(problem.retain_sampler().epoch(problem.batch_size))
    original.loss(batch).total.backward()
    return UnlearnResult(original)


def returns_nothing(self: Finetune, original: Recommender, problem: Problem, recorder: Recorder) -> Any:
    leaves_gradients(self, original, problem, recorder)


def returns_the_model(self: Finetune, original: Recommender, problem: Problem, recorder: Recorder) -> Any:
    return original


def wraps_another_thing(self: Finetune, original: Recommender, problem: Problem, recorder: Recorder) -> Any:
    return UnlearnResult({"model": original})  # type: ignore[arg-type]


def unlearned(folder: Path, *overrides: str) -> Unlearned:
    places = [f"cache.dir={folder}/cache", f"tracking.uri=sqlite:///{folder}/mlflow.db", "backbone=bpr"]
    cell = Planner().plan(expand([*TINY, *places, "method=finetune", *overrides], multirun=False)[0])
    stage = SettingStage(cell)
    return UnlearnStage(cell, stage).run(stage.load(), None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the cells of this module share."""
    return tmp_path_factory.mktemp("shared")


def test_gradients_that_a_method_leaves_go_no_further(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Finetune, "unlearn", leaves_gradients)
    model = unlearned(folder).result.model
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("unlearn", "what"),
    [
        (returns_nothing, "NoneType"),
        (returns_the_model, "BPR"),
        (wraps_another_thing, "UnlearnResult of dict"),
    ],
)
def test_a_wrong_result_is_one_sentence_with_file_and_line(
    unlearn: Any, what: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Finetune, "unlearn", unlearn)
    with pytest.raises(WrongResult) as caught:
        unlearned(folder)
    line = inspect.getsourcelines(unlearn)[1]
    start = f"tests/bench/cell/test_unlearn.py, line {line}: unlearn returned {what}: "
    assert str(caught.value).startswith(start)
    assert "\n" not in str(caught.value)

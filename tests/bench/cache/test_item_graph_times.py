"""What building item graphs cost is on the clocks of those who need them, whoever built them when."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.cell.pipeline import CellPipeline, CellResult
from bench.cell.setting import SettingStage
from bench.cell.unlearn import UnlearnStage
from datasets.item_graphs import knn_graph
from models.base import Recommender
from tests.bench.cache.records import rewrite
from tests.bench.cell.test_pipeline import planned
from unlearning.base import Problem, UnlearningMethod

EACH = 1000.0
BOTH = 2 * EACH


class Watched(UnlearnStage):
    """Keeps the problem that the method gets."""

    problem: Problem

    def _unlearn(self, method: UnlearningMethod, original: Recommender, problem: Problem, *rest: Any) -> Any:
        self.problem = problem
        return super()._unlearn(method, original, problem, *rest)


def run(folder: Path, *overrides: str) -> tuple[CellResult, Problem]:
    cell = planned(folder, "backbone=mgcn", "method=graph_only", "train.max_epochs=1", *overrides)
    pipeline = CellPipeline(cell)
    pipeline.unlearning = watched = Watched(cell, pipeline.setting)
    return pipeline.run(), watched.problem


def slow_down(folder: Path) -> None:
    """Pretend that building each known graph had taken ``EACH`` seconds."""
    for path in (folder / "cache" / "item_graphs").glob("*/record.json"):
        rewrite(path, seconds=EACH)


def online(result: CellResult) -> float:
    return result.measured.metrics["time/unlearn_seconds"]


def test_item_regime_charges_training_and_unlearning(tmp_path: Path) -> None:
    run(tmp_path, "regime=item")
    slow_down(tmp_path)
    shutil.rmtree(tmp_path / "cache" / "models")
    result, problem = run(tmp_path, "regime=item")
    for record in (result.original, result.gold):
        assert record.item_graph_seconds == BOTH
        assert BOTH < record.seconds < BOTH + EACH
        assert record.seconds_to_best >= BOTH
        assert record.curve[0]["seconds"] >= BOTH
    assert BOTH < online(result) < BOTH + EACH
    forgotten = problem.request.items
    for m, features in problem.full.features.items():
        expected = knn_graph(features.index_fill(0, forgotten, 0.0), 10)
        assert torch.equal(problem.retain.item_graphs[m].to_dense(), expected.to_dense())


def test_a_trained_model_keeps_the_time_it_was_recorded_with(tmp_path: Path) -> None:
    first, _ = run(tmp_path)
    slow_down(tmp_path)
    again, _ = run(tmp_path)
    assert again.gold == first.gold
    assert 0 < first.gold.item_graph_seconds < EACH


@pytest.mark.parametrize(
    ("overrides", "charged"),
    [
        (("regime=user",), 0),
        (("regime=item", "method.graph_at_unlearning=full"), 1),
        (("regime=item", "method.graph_at_unlearning=full", "method.graph_at_evaluation=full"), 0),
        (("regime=item", "method=original"), 0),
    ],
)
def test_only_a_graph_of_its_own_is_on_the_methods_clock(
    overrides: tuple[str, ...], charged: int, tmp_path: Path
) -> None:
    run(tmp_path, *overrides)
    slow_down(tmp_path)
    result, _ = run(tmp_path, *overrides)
    assert BOTH * charged <= online(result) < BOTH * charged + EACH


def test_gold_alone_is_trained_on_its_own_graphs(tmp_path: Path) -> None:
    """As a sweep does it, the stage of its own before the cells."""
    cell = planned(tmp_path, "backbone=mgcn", "regime=item", "train.max_epochs=1", "run.stage=gold")
    SettingStage(cell).train("gold")
    slow_down(tmp_path)
    assert len(list((tmp_path / "cache" / "item_graphs").iterdir())) == 2
    result, _ = run(tmp_path, "regime=item")
    assert result.original.item_graph_seconds < EACH
    assert online(result) >= BOTH

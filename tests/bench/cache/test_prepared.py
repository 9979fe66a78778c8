"""What a method prepares: kept by content, found by every request, reported with its recorded seconds."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.cache.prepared import Prepared, PreparedCache, preparing
from bench.cell.pipeline import CellPipeline, CellResult
from bench.config.compose import expand
from bench.planning import keys
from bench.planning.planner import PlannedCell, Planner
from models.base import Recommender
from tests.bench.cells import TINY
from unlearning.base import PreparedState, Problem, Recorder, Setting, UnlearnResult
from unlearning.finetune import Finetune

CPU = torch.device("cpu")
SECONDS = 1000.0


def planned(folder: Path, *overrides: str) -> PlannedCell:
    places = [f"cache.dir={folder}/cache", f"tracking.uri=sqlite:///{folder}/mlflow.db"]
    cell = [*TINY, "backbone=lightgcn", "method=finetune", "method.epochs=1", *places, *overrides]
    return Planner().plan(expand(cell, multirun=False)[0])


def run(folder: Path, *overrides: str) -> CellResult:
    return CellPipeline(planned(folder, *overrides)).run()


def state(value: float = 1.0) -> PreparedState:
    return PreparedState({"noise": torch.full((3, 2), value), "rows": torch.arange(4)}, {"kept": 0.5})


def records(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "prepared").glob("[!.]*/record.json"))


def recorded(folder: Path) -> list[Path]:
    return [path for path in records(folder) if ".damaged-" not in path.parent.name]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Fine-tuning that prepares noise for the users' rows; its options each time it prepares."""
    options: list[Any] = []
    plain = Finetune.unlearn

    def prepare(self: Finetune, original: Recommender, setting: Setting) -> PreparedState:
        options.append(self.options)
        setting.workshop._watch.add(SECONDS)  # type: ignore[attr-defined]
        shape = original.id_tables()["user"].shape
        return PreparedState(
            {"noise": torch.rand(shape, generator=setting.generator)}, {"asked": len(options)}
        )

    def unlearn(self: Finetune, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        with torch.no_grad():
            original.id_tables()["user"].add_(problem.prepared.tensors["noise"])
        result = plain(self, original, problem, recorder)
        result.notes["asked"] = problem.prepared.figures["asked"]
        return result

    monkeypatch.setattr(Finetune, "prepare", prepare)
    monkeypatch.setattr(Finetune, "unlearn", unlearn)
    monkeypatch.setattr(Finetune, "keeps_prepared", True)
    monkeypatch.setattr(Finetune, "online_options", frozenset({"epochs", "graph_at_evaluation"}))
    return options


def test_a_second_request_finds_the_state_and_reports_its_recorded_seconds(
    tmp_path: Path, asked: list[Any]
) -> None:
    first = run(tmp_path)
    other = run(tmp_path, "regime=item", "method.epochs=2")
    assert len(asked) == 1
    assert (first.notes["asked"], other.notes["asked"]) == (1, 1)
    (path,) = recorded(tmp_path)
    seconds = json.loads(path.read_text())["seconds"]
    assert seconds > SECONDS
    for result in (first, other):
        assert result.measured.metrics["time/offline_seconds"] == seconds
        assert result.measured.metrics["time/unlearn_seconds"] < SECONDS


def test_a_found_state_gives_the_very_same_cell(tmp_path: Path, asked: list[Any]) -> None:
    made, found = run(tmp_path), run(tmp_path)
    assert len(asked) == 1
    kept = [
        {name: value for name, value in result.measured.metrics.items() if not name.startswith("time/")}
        for result in (made, found)
    ]
    for metrics in kept:
        metrics.pop("cost/break_even_requests", None)
    assert kept[0] == kept[1]


@pytest.mark.parametrize(
    "other",
    ["seed=1", "method.learning_rate=0.5", "backbone.layers=1", "threads", "code"],
)
def test_what_decides_the_state_is_another_state(
    tmp_path: Path, asked: list[Any], other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path)
    if other == "code":
        real = keys.code_digest
        edited = {"method": "edited"}
        monkeypatch.setattr(keys, "code_digest", lambda kind, name: edited.get(kind) or real(kind, name))
        run(tmp_path)
    else:
        run(tmp_path, "run.threads=2" if other == "threads" else other)
    assert len(asked) == len(records(tmp_path)) == 2


def test_options_of_the_request_reach_preparation_as_defaults_only(tmp_path: Path, asked: list[Any]) -> None:
    run(tmp_path, "method.epochs=2", "method.batches_per_epoch=3")
    (options,) = asked
    assert (options.epochs, options.batches_per_epoch) == (type(options)().epochs, 3)
    method = Finetune(dataclasses.replace(Finetune.Options(), epochs=7, learning_rate=0.5))
    assert preparing(method).options == dataclasses.replace(Finetune.Options(), learning_rate=0.5)
    assert method.options.epochs == 7


def test_a_method_that_keeps_nothing_prepares_for_every_cell(
    tmp_path: Path, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Finetune, "keeps_prepared", False)
    results = [run(tmp_path), run(tmp_path)]
    assert len(asked) == 2
    assert records(tmp_path) == []
    assert all(result.measured.metrics["time/offline_seconds"] > SECONDS for result in results)


def test_a_method_without_preparation_has_no_offline_seconds(tmp_path: Path) -> None:
    metrics = run(tmp_path).measured.metrics
    assert metrics["time/offline_seconds"] == 0.0
    assert "cost/break_even_requests" not in metrics


def test_tensors_and_figures_come_back_bit_for_bit(tmp_path: Path) -> None:
    cache = PreparedCache(tmp_path)
    made = cache.get_or_prepare("key", CPU, lambda: Prepared(state(), 2.5), {})
    found = cache.get_or_prepare("key", CPU, lambda: pytest.fail("prepared twice"), {})
    assert made.seconds == found.seconds == 2.5
    assert found.state.figures == state().figures
    assert found.state.tensors.keys() == state().tensors.keys()
    for name, value in state().tensors.items():
        assert torch.equal(found.state.tensors[name], value)
        assert found.state.tensors[name].dtype == value.dtype


def test_a_state_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="must return a PreparedState"):
        PreparedCache(tmp_path).get_or_prepare("key", CPU, lambda: Prepared([1], 2.5), {})

"""The workshop: what a method trains for itself is seeded, cached and timed like any model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.cache.models import ModelCache
from bench.cell import setting, workshop
from bench.cell.pipeline import CellPipeline
from bench.cell.run import run_cell
from bench.cell.workshop import CellWorkshop, content_of, scheduled
from bench.config.compose import expand
from bench.machine.timing import Stopwatch
from bench.planning.planner import PlannedCell, Planner
from bench.planning.request import draw
from bench.record.store import Store
from datasets.interactions import InteractionData
from tests.bench.cells import TINY
from tests.tiny import tiny_data
from unlearning.base import Problem

CPU = torch.device("cpu")


def planned(folder: Path, *overrides: str) -> PlannedCell:
    places = [f"cache.dir={folder}/cache", f"tracking.uri=sqlite:///{folder}/mlflow.db"]
    return Planner().plan(expand([*TINY, *places, *overrides], multirun=False)[0])


def a_workshop(folder: Path, watch: Stopwatch | None = None, *overrides: str) -> CellWorkshop:
    cell = planned(folder, *overrides)
    return CellWorkshop(cell.config, "data", ModelCache(folder / "cache"), watch or Stopwatch(CPU))


def state(trained: Any) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in trained.model.state_dict().items()}


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_purpose_and_data_decide_the_weights_and_the_order_does_not(tmp_path: Path) -> None:
    data = tiny_data()
    first = a_workshop(tmp_path / "1")
    one, two = state(first.trained(data, "shard 1")), state(first.trained(data, "shard 2"))
    other = a_workshop(tmp_path / "2")
    torch.rand(17)
    assert equal(state(other.trained(data, "shard 2")), two)
    assert equal(state(other.trained(data, "shard 1")), one)
    assert not equal(one, two)


def test_a_second_workshop_finds_the_model_and_counts_its_recorded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, watches = tiny_data(), [Stopwatch(CPU), Stopwatch(CPU)]
    trained = a_workshop(tmp_path, watches[0]).trained(data, "shard 1")
    after = torch.rand(3)
    monkeypatch.setattr(workshop, "train", None)  # nothing is left to train
    found = a_workshop(tmp_path, watches[1]).trained(data, "shard 1")
    assert equal(state(trained), state(found))
    assert torch.equal(after, torch.rand(3)), "the global generator tells whether the model was found"
    assert watches[0].seconds == watches[1].seconds == trained.train_seconds == found.train_seconds


def test_the_clock_of_the_stage_stands_still_but_for_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, running = Stopwatch(CPU), []
    build = workshop.fresh_model

    def spied(*arguments: Any) -> Any:
        running.append(watch._since is not None)
        return build(*arguments)

    monkeypatch.setattr(workshop, "fresh_model", spied)
    with watch.running():
        a_workshop(tmp_path, watch).trained(tiny_data(), "shard 1")
        running.append(watch._since is not None)
    assert running == [False, True]


@pytest.mark.parametrize("change", ["train", "valid", "withdrawn_items"])
def test_another_content_is_another_model(change: str) -> None:
    data = tiny_data()
    fewer = {"train": data.train[:, 1:], "valid": data.valid[:, 1:], "withdrawn_items": torch.tensor([3])}
    changed = InteractionData(**{**vars(data), change: fewer[change]})
    assert content_of(changed) != content_of(data)
    assert content_of(tiny_data()) == content_of(data)


def test_epochs_are_exact_and_without_selection(tmp_path: Path) -> None:
    bench = a_workshop(tmp_path)
    data = tiny_data()
    assert bench.trained(data, "shard 1", 3).examples == 3 * data.train.shape[1]
    schedule = scheduled(planned(tmp_path).config.train, 3)
    assert (schedule.max_epochs, schedule.eval_every) == (3, 3)
    assert scheduled(schedule, None) is schedule


def test_training_goes_on_from_the_weights_it_is_given_and_leaves_them(tmp_path: Path) -> None:
    bench, data = a_workshop(tmp_path), tiny_data()
    starts = [bench.trained(data, f"shard {n}", 1) for n in range(2)]
    before = state(starts[0])
    fresh = state(bench.trained(data, "further", 1))
    further = [state(bench.trained(data, "further", 1, start.model)) for start in starts]
    assert equal(before, state(starts[0]))
    assert not any(equal(one, other) for one, other in ((fresh, further[0]), further))
    assert equal(further[0], state(bench.trained(data, "further", 1, starts[0].model)))
    steps = [
        sum(float((one[name] - own[name]).abs().sum()) for name in one)
        for one, own in ((further[0], before), (further[0], fresh))
    ]
    assert steps[0] < steps[1]


@pytest.mark.parametrize("fitted_on", ["train", "valid"])
def test_a_cell_says_that_validation_labels_were_fitted(fitted_on: str, tmp_path: Path) -> None:
    overrides = ["backbone=bpr", "method=ultrare", "method.shards=2", f"method.combiner_data={fitted_on}"]
    notes = CellPipeline(planned(tmp_path, *overrides)).run().notes
    assert notes.get("fitted_on_validation", False) == (fitted_on == "valid")


def test_offline_and_online_cost_are_reported_apart(tmp_path: Path) -> None:
    overrides = ["backbone=lightgcn", "method=ultrare", "method.shards=3", "method.combiner_epochs=1"]
    metrics = []
    for mode in ("only_missing", "always"):
        cell = planned(tmp_path, *overrides, f"run.mode={mode}")
        metrics.append(Store(cell.config.tracking).client.get_run(run_cell(cell)).data.metrics)
    request = draw(cell.config.regime, CellData(cell).full)
    touched = request.forget.shape[1]
    assert touched > 0
    records = [_record(folder) for folder in (tmp_path / "cache" / "models").iterdir() if folder.is_dir()]
    shards = [r for r in records if r["about"]["role"].startswith("shard")]
    assert len(shards) == 6, "three offline, and three again: every shard lost a user"
    trained = sum(r["training"]["seconds"] for r in shards)
    for run in metrics:  # the second time, all of them were found in the cache
        assert run["time/offline_seconds"] + run["time/unlearn_seconds"] > trained
        assert 0 < run["time/offline_seconds"] < run["time/offline_seconds"] + run["time/unlearn_seconds"]
    weights = [run["test/recall_at_20"] for run in metrics]
    assert weights[0] == weights[1]


def test_preparing_is_on_the_offline_clock_and_sees_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unlearning.graph_only import GraphOnly

    seen: dict[str, Any] = {}

    def prepare(self: GraphOnly, original: Any, setting: Any) -> str:
        seen["setting"] = setting
        setting.workshop._watch.add(1000.0)
        return "state"

    def unlearn(self: GraphOnly, original: Any, problem: Problem, recorder: Any) -> Any:
        seen["prepared"] = problem.prepared
        return plain(self, original, problem, recorder)

    plain = GraphOnly.unlearn
    monkeypatch.setattr(GraphOnly, "prepare", prepare)
    monkeypatch.setattr(GraphOnly, "unlearn", unlearn)
    metrics = CellPipeline(planned(tmp_path, "method=graph_only")).run().measured.metrics
    assert metrics["time/offline_seconds"] >= 1000 > metrics["time/unlearn_seconds"]
    assert seen["prepared"] == "state"
    assert not hasattr(seen["setting"], "request")
    assert not hasattr(seen["setting"], "retain")


class CellData:
    """The full data of a planned cell."""

    def __init__(self, cell: PlannedCell) -> None:
        self.full = setting.to_torch(setting.read_checked(setting.reader_of(cell.config)), cell.keys.data)


def _record(folder: Path) -> dict[str, Any]:
    import json

    content: dict[str, Any] = json.loads((folder / "record.json").read_text())
    return content

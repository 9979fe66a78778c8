"""What a stream must equal: of one request the one-shot cell, of an exact method its union, in any order."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.cell.setting import CellSetting
from bench.stream.pipeline import StreamPipeline
from datasets.streams.composing import union
from tests.bench.cell.test_pipeline import planned
from tests.bench.stream.streams import BACKBONE, METHODS, QUICK, SPARING, one_shot, stream, without_clocks

BATCH = ("stream=users", "stream.count=3", "stream.batch=3", "stream.seed=4")
ONE = ("regime=user", "regime.count=3", "regime.seed=4")
FIVE = ("stream=users", "stream.count=5")
EXACT = ("sisa", "receraser", "ultrare")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the cells of this module share."""
    return tmp_path_factory.mktemp("shared")


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("method", METHODS)
def test_a_stream_of_one_request_is_the_one_shot_cell(method: str, folder: Path) -> None:
    own = (f"method={method}", f"backbone={BACKBONE.get(method, 'mgcn')}", *SPARING.get(method, ()))
    cell, expected = one_shot(folder, *own, *ONE)
    result, (weights,) = stream(folder, *own, *BATCH)
    assert equal(weights, expected)
    assert without_clocks(result.metrics[1]) == without_clocks(cell.measured.metrics)
    assert {name: str(note) for name, note in cell.notes.items()} == result.notes
    assert all(torch.equal(result.last.lists[name], array) for name, array in cell.measured.lists.items())


def test_the_one_shot_cell_and_the_stream_share_their_gold_model(folder: Path) -> None:
    models = folder / "cache" / "models"
    stream(folder, "method=graph_only", "backbone=mgcn", *BATCH)
    before = sum(path.is_dir() for path in models.iterdir())
    one_shot(folder, "method=graph_only", "backbone=mgcn", *ONE)
    assert sum(path.is_dir() for path in models.iterdir()) == before
    cell = planned(folder, *QUICK, "method=reset", "backbone=mgcn", *ONE)
    assert cell.cached_models() == {"original": True, "gold": True}


@pytest.mark.parametrize(
    ("method", "order"), [*((method, "sorted") for method in EXACT), ("ultrare", "random")]
)
def test_an_exact_method_ends_where_the_union_ends(method: str, order: str, folder: Path) -> None:
    """Whatever the order: requests of different users are independent."""
    own = (f"method={method}", "method.shards=3", "backbone=lightgcn")
    _, weights = stream(folder, *own, *FIVE, f"stream.order={order}")
    _, expected = one_shot(folder, *own, "regime=user", "regime.count=5")
    assert equal(weights[-1], expected)


def test_each_checkpoint_is_measured_beside_the_gold_of_its_own_rest(folder: Path) -> None:
    pipeline = StreamPipeline(planned(folder, *QUICK, "method=graph_only", "backbone=bpr", *FIVE))
    loaded = pipeline.setting.load_stream()
    seen: list[CellSetting] = []
    at = pipeline.setting.at

    def noted(*arguments: object) -> CellSetting:
        seen.append(at(*arguments))  # type: ignore[arg-type]
        return seen[-1]

    pipeline.setting.at = noted  # type: ignore[method-assign]
    result = pipeline.run()
    assert [index + 1 for index in loaded.checkpoints] == sorted(result.metrics) == [2, 3, 4, 5]
    for index, setting in zip(loaded.checkpoints, seen, strict=True):
        asked = union(loaded.requests[: index + 1], loaded.read)
        assert torch.equal(setting.request.forget, asked.forget)
        assert torch.equal(setting.retain.train, asked.apply(loaded.read).train)
    golds = [setting.gold.model.state_dict() for setting in seen]
    assert not any(equal(one, other) for one, other in itertools.pairwise(golds))

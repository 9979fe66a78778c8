"""The repair stage: the same for every method but the references, on the clock, recorded and keyed."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path

import pytest
import torch

from bench.cell.pipeline import CellPipeline, CellResult
from bench.cell.repair import repair_stage
from bench.config.compose import expand
from bench.planning.keys import CellKeys, cell_keys
from bench.planning.planner import Planner
from bench.record.local.parameters import parameters
from bench.train.options import RepairConfig
from datasets.errors import InputError
from datasets.sampling import Batch
from models.base import LossTerms
from tests.bench.cells import TINY
from tests.unlearning.cells import BATCH_SIZE, Tape, private_copy, problem, same, trained, weights


class Diary(Tape):
    """Remembers the size of every batch too."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def examples(self, count: int, steps: int = 1) -> None:
        super().examples(count, steps)
        self.sizes.append(count)


def repaired(batches: int, learning_rate: float | None = None) -> tuple[dict[str, torch.Tensor], Diary]:
    task, diary = problem(), Diary()
    model = private_copy(trained("lightgcn"), task)
    repair_stage(model, task, RepairConfig("some", batches, learning_rate), diary)
    return weights(model), diary


def test_no_batches_change_and_record_nothing() -> None:
    after, diary = repaired(0)
    assert same(after, weights(trained("lightgcn")))
    assert (diary.sizes, diary.curves) == ([], [])


@pytest.mark.parametrize("batches", [1, 3, 9])
def test_it_takes_exactly_the_batches_asked_for_over_any_number_of_passes(batches: int) -> None:
    in_a_pass = problem().retain_sampler().num_batches(BATCH_SIZE)
    assert 3 < in_a_pass < 9, "the cases should end within, and beyond, a pass"
    _, diary = repaired(batches)
    assert len(diary.sizes) == batches
    assert [point["repair_stage/batches"] for point in diary.curves] == [batches]
    assert diary.curves[0]["loss/repair_stage"] > 0


def test_the_learning_rate_is_the_backbones_unless_given() -> None:
    assert same(repaired(2)[0], repaired(2, learning_rate=problem().learning_rate)[0])
    assert not same(repaired(2)[0], repaired(2, learning_rate=0.5)[0])


def keys(*overrides: str) -> CellKeys:
    (config,) = expand([*TINY, *overrides], multirun=False)
    return cell_keys(config, "data", "", "cpu")


@pytest.mark.parametrize("method", ["reset", "finetune", "tru"])
def test_it_enters_the_key_of_every_method_and_of_its_cell_alone(method: str) -> None:
    without, short, long = (
        keys(f"method={method}", f"repair.batches={number}", f"repair={name}")
        for number, name in ((0, "none"), (10, "short"), (11, "short"))
    )
    assert len({without.cell, short.cell, long.cell}) == 3
    assert (without.original, without.gold) == (short.original, short.gold)
    assert keys(f"method={method}") == without, "without a stage nothing about it changes a key"
    assert keys(f"method={method}", "repair.learning_rate=0.5") == without


@pytest.mark.parametrize("method", ["original", "retrain"])
def test_reference_systems_are_exempt_and_say_so(method: str) -> None:
    assert keys(f"method={method}", "repair=short") == keys(f"method={method}")
    (config,) = expand([*TINY, f"method={method}", "repair=short"], multirun=False)
    logged = parameters(config)
    assert (logged["repair.name"], logged["repair.batches"]) == ("exempt", 0)


def test_a_wrong_value_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"^repair\.batches=-1 is not valid: [^\n]*\.$"):
        expand(["repair.batches=-1"], multirun=False)


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("repair")


def ran(folder: Path, method: str, batches: int) -> CellResult:
    places = [f"cache.dir={folder}/cache", f"tracking.uri=sqlite:///{folder}/mlflow.db"]
    overrides = [*TINY, *places, f"method={method}", "repair=short", f"repair.batches={batches}"]
    (config,) = expand(overrides, multirun=False)
    return CellPipeline(Planner().plan(config)).run()


@cache
def batch_size() -> int:
    return expand(TINY, multirun=False)[0].train.batch_size


def test_the_stage_is_counted_as_the_methods_own_cost_and_is_its_last_point(cached: Path) -> None:
    result = ran(cached, "reset", batches=2)
    assert result.measured.metrics["cost/unlearn_examples"] == 2 * batch_size()
    (point,) = result.trajectory
    assert point["repair_stage/batches"] == 2
    assert 0 < point["seconds"] <= result.measured.metrics["time/unlearn_seconds"]
    assert "valid/recall_at_20" in point
    assert ran(cached, "reset", batches=0).trajectory == []
    longer = ran(cached, "mmrecun", batches=1).trajectory
    assert ["repair_stage/batches" in point for point in longer] == [False] * (len(longer) - 1) + [True]


def test_every_method_meets_the_same_batches(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.config.registry import load_class

    backbone = load_class("backbone", "mgcn")
    original_loss, seen = backbone.loss, []

    def spy(self: object, batch: Batch) -> LossTerms:
        seen.append(batch)
        terms: LossTerms = original_loss(self, batch)
        return terms

    ran(cached, "reset", batches=2)  # trains what is missing
    monkeypatch.setattr(backbone, "loss", spy)
    last = {}
    for method in ("reset", "mmrecun"):
        seen.clear()
        ran(cached, method, batches=2)
        last[method] = seen[-2:]
    for one, other in zip(last["reset"], last["mmrecun"], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_references_are_left_alone(cached: Path) -> None:
    for method in ("original", "retrain"):
        assert ran(cached, method, batches=2).trajectory == []
    gold = ran(cached, "retrain", batches=2).measured.metrics
    assert gold["gold_distance_same_seed/overlap_at_20"] == 1.0


def test_the_config_group_states_every_option() -> None:
    for name in ("none", "short"):
        (config,) = expand([f"repair={name}"], multirun=False)
        assert config.repair.name == name
    assert json.dumps(dataclasses.asdict(RepairConfig())) == json.dumps(
        dataclasses.asdict(expand([], multirun=False)[0].repair)
    )

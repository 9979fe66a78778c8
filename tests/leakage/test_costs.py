"""What a cell says about cost is what was spent: on the pipeline itself, with a time that tests move.

``tests/programs/mutants.py`` breaks the code on purpose and lists which of these tests notice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.cache.models import ModelCache
from bench.cell.pipeline import contended
from bench.config.registry import load_class, registry
from models.graph import Propagation
from tests.bench.machine.clocks import stop_time
from tests.leakage.observed import Observed, observe
from tests.registered import ONLY_CLOSED_FORMS
from tests.unlearning.cells import ASKS_A_SERVER
from unlearning import REFERENCE_METHODS
from unlearning.base import Problem, Recorder, UnlearnResult

METHODS = sorted(set(registry("method")) - {*REFERENCE_METHODS, *ONLY_CLOSED_FORMS, *ASKS_A_SERVER})
QUICK = ("train.max_epochs=3", "regime.ratio=0.2")
TRAINS_BACKBONES = ("sisa", "receraser", "ultrare")
"""Methods that train models of their own, whose recorded cost counts, whenever they were trained."""
OPTIONS = {
    "tru": ["method.gate=false"],
    "unlearnrec": ["method.epochs=2"],
    **{name: ["method.shards=2"] for name in TRAINS_BACKBONES},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the cells of this module share, as those of a sweep do."""
    return tmp_path_factory.mktemp("costs")


def ran(folder: Path, method: str, *overrides: str) -> Observed:
    backbone = "mgcn" if method == "multidelete" else "lightgcn"
    return observe(
        folder, f"method={method}", f"backbone={backbone}", *OPTIONS.get(method, []), *QUICK, *overrides
    )


def gold_record(seen: Observed) -> dict[str, Any]:
    """What the cache holds about the training of gold."""
    place = ModelCache(seen.cell.config.cache.dir).folder(seen.cell.keys.gold) / "record.json"
    content: dict[str, Any] = json.loads(place.read_text())["training"]
    return content


def test_speed_ups_are_golds_recorded_times_over_the_methods_own(folder: Path) -> None:
    seen = ran(folder, "finetune", "train.patience=0", "train.learning_rate=1.0", "train.max_epochs=9")
    record, metrics = gold_record(seen), seen.outcome.measured.metrics
    assert record["seconds_to_best"] < record["seconds"]
    assert metrics["time/gold_train_seconds"] == record["seconds"]
    assert metrics["time/gold_train_seconds"] != seen.outcome.original.seconds
    own = metrics["time/unlearn_seconds"]
    assert metrics["time/speedup_to_best"] == record["seconds_to_best"] / own
    assert metrics["time/speedup"] == record["seconds"] / own
    assert metrics["cost/gold_steps"] == record["steps"]
    assert metrics["cost/gold_propagations"] == record["propagations"] > 0
    assert metrics["time/contended"] in (0.0, 1.0)


def test_gold_as_a_method_costs_its_own_training(folder: Path) -> None:
    seen = ran(folder, "retrain")
    record, metrics = gold_record(seen), seen.outcome.measured.metrics
    assert metrics["time/speedup_to_best"] == metrics["time/speedup"] == 1.0
    assert metrics["time/unlearn_seconds"] == record["seconds"]
    assert metrics["cost/unlearn_steps"] == record["steps"]
    assert metrics["cost/unlearn_propagations"] == record["propagations"]
    assert metrics["time/processor_share"] == record["processor_share"]


def test_binding_is_on_the_clock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran(folder, "graph_only")
    time, kind = stop_time(monkeypatch), load_class("backbone", "lightgcn")
    bind = kind.bind

    def slow(self: Any, data: Any) -> None:
        time.pass_by(wall=1000.0, processor=700.0)
        bind(self, data)

    monkeypatch.setattr(kind, "bind", slow)
    for both, seconds in (("retain", 1000.0), ("full", 2000.0)):
        metrics = ran(folder, "graph_only", f"method.graph_at_evaluation={both}").outcome.measured.metrics
        assert metrics["time/unlearn_seconds"] == seconds
        assert metrics["time/processor_share"] == 0.7
        assert metrics["time/contended"] == 1.0


@pytest.mark.parametrize("method", METHODS)
def test_whatever_a_method_computes_is_on_its_clock_and_counted(
    method: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every propagation takes a second, and only propagations do: statistics, probes and validation too."""
    if method in TRAINS_BACKBONES or not (folder / "cache").exists():
        ran(folder, method)  # so that nothing is left to train
    time, kind = stop_time(monkeypatch), load_class("method", method)
    forward, unlearn, spent = Propagation.forward, kind.unlearn, []

    def slow(self: Propagation, *arguments: Any, **named: Any) -> Any:
        time.pass_by(wall=1.0)
        return forward(self, *arguments, **named)

    def watched(self: Any, original: Any, problem: Problem, recorder: Recorder) -> UnlearnResult:
        began = time.wall
        result: UnlearnResult = unlearn(self, original, problem, recorder)
        spent.append(time.wall - began)
        return result

    monkeypatch.setattr(Propagation, "forward", slow)
    monkeypatch.setattr(kind, "unlearn", watched)
    metrics = ran(folder, method, "evaluate.trajectory=false").outcome.measured.metrics
    if method in TRAINS_BACKBONES:  # found ready-made, and charged as recorded
        assert metrics["time/unlearn_seconds"] > spent[0]
        assert metrics["cost/unlearn_propagations"] > spent[0]
    else:
        assert metrics["time/unlearn_seconds"] == metrics["cost/unlearn_propagations"] == spent[0]


def test_evaluation_along_the_way_costs_nothing(folder: Path) -> None:
    found = []
    for trajectory in ("true", "false"):
        seen = ran(folder, "tru", f"evaluate.trajectory={trajectory}")
        names = ("steps", "propagations", "examples")
        found.append([seen.outcome.measured.metrics[f"cost/unlearn_{name}"] for name in names])
        assert ("valid/recall_at_20" in seen.outcome.trajectory[0]) == (trajectory == "true")
    assert found[0] == found[1]
    assert all(value > 0 for value in found[0])


def test_a_preparation_pays_off_against_gold_to_its_best_epoch(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = ran(folder, "graph_only").outcome.measured.metrics
    assert without["time/offline_seconds"] == 0
    assert "cost/break_even_requests" not in without
    time, kind = stop_time(monkeypatch), load_class("method", "graph_only")
    plain = kind.unlearn

    def cell(offline: float, online: float) -> dict[str, float]:
        monkeypatch.setattr(kind, "prepare", lambda *_: time.pass_by(offline))

        def unlearn(*arguments: Any) -> Any:
            time.pass_by(online)
            return plain(*arguments)

        monkeypatch.setattr(kind, "unlearn", unlearn)
        return ran(folder, "graph_only").outcome.measured.metrics

    to_best = cell(0.0, 1e-6)["time/gold_train_seconds_to_best"]
    metrics = cell(offline=5 * to_best, online=to_best / 2)
    assert metrics["cost/break_even_requests"] == pytest.approx(10.0)
    assert metrics["time/speedup_to_best"] == pytest.approx(2.0)
    assert "cost/break_even_requests" not in cell(offline=to_best, online=to_best)


def test_contention_of_either_clock_is_marked_and_ignorance_is_not() -> None:
    assert contended(0.79, 1.0) is True
    assert contended(1.0, 0.79) is True
    assert contended(0.8, 0.95) is False
    assert contended(0.79, None) is True
    assert contended(0.95, None) is None
    assert contended(None, None) is None


def test_a_gold_of_before_shares_were_taken_leaves_them_open(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.train.record import TrainingRecord

    ran(folder, "graph_only")
    read = TrainingRecord.from_json

    def old(values: dict[str, Any]) -> TrainingRecord:
        return read({k: v for k, v in values.items() if k not in ("processor_share", "propagations")})

    monkeypatch.setattr(TrainingRecord, "from_json", staticmethod(old))
    metrics = ran(folder, "graph_only").outcome.measured.metrics
    assert "cost/gold_propagations" not in metrics
    assert metrics.get("time/contended") in (None, 1.0)
    assert {"time/speedup_to_best", "time/speedup", "cost/gold_steps"} <= metrics.keys()

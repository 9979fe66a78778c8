"""Each model is trained once, and loaded only with the very record of its training."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from bench.cache.care import main
from bench.cache.models import ModelCache
from bench.config.registry import load_class
from bench.config.source import options_of
from bench.machine.devices import DeviceInfo
from bench.train.record import TrainingRecord
from models.base import Recommender
from tests.bench.cache.records import edit, rewrite
from tests.tiny import tiny_data

RECORD = TrainingRecord(
    seconds=12.5,
    seconds_to_best=9.0,
    warmup_seconds=0.1,
    epochs=3,
    best_epoch=2,
    best_recall=0.25,
    steps=6,
    examples=720,
    stopped_by="patience",
    device=DeviceInfo("cpu", "a processor", 2),
    curve=[{"epoch": 1, "loss": 0.5, "valid_recall_at_20": 0.2, "seconds": 4.0}],
)


class CountingTrainer:
    """Sets every weight to a constant and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, model: Recommender) -> TrainingRecord:
        self.calls += 1
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(0.5)
        return RECORD


def fresh() -> Recommender:
    model: Recommender = load_class("backbone", "lightgcn")(tiny_data(), options_of("backbone", "lightgcn")())
    return model


def test_second_request_loads_and_reports_the_recorded_time(tmp_path: Path) -> None:
    trainer = CountingTrainer()
    first = ModelCache(tmp_path).get_or_train("k", fresh(), trainer, {"role": "gold"})
    second = ModelCache(tmp_path).get_or_train("k", fresh(), trainer, {"role": "gold"})
    assert trainer.calls == 1
    assert (first.found, second.found) == (False, True)
    assert second.record == RECORD
    assert all(bool((parameter == 0.5).all()) for parameter in second.model.parameters())


def test_an_edited_training_time_never_reaches_a_speed_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache, trainer = ModelCache(tmp_path), CountingTrainer()
    cache.get_or_train("k", fresh(), trainer, {})
    edit(cache.folder("k") / "record.json", training={**RECORD.to_json(), "seconds": 999.0})
    assert main(["--dir", str(tmp_path), "verify"]) == 1
    with caplog.at_level(logging.WARNING):
        again = cache.get_or_train("k", fresh(), trainer, {})
    assert (again.found, again.record, trainer.calls) == (False, RECORD, 2)
    assert "the cached model k is damaged: its record was changed" in caplog.text


@pytest.mark.parametrize("training", [None, [], {}, {"seconds": 1.0}])
def test_a_training_record_of_another_shape_is_damage(training: object, tmp_path: Path) -> None:
    cache, trainer = ModelCache(tmp_path), CountingTrainer()
    cache.get_or_train("k", fresh(), trainer, {})
    rewrite(cache.folder("k") / "record.json", training=training)
    assert cache.get_or_train("k", fresh(), trainer, {}).record == RECORD
    assert trainer.calls == 2


def test_weights_of_another_network_are_damage_and_touch_nothing(tmp_path: Path) -> None:
    cache, trainer = ModelCache(tmp_path), CountingTrainer()
    wide = options_of("backbone", "lightgcn")(embedding_dim=3)
    other: Recommender = load_class("backbone", "lightgcn")(tiny_data(), wide)
    cache.get_or_train("k", other, trainer, {})
    model = fresh()
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def unchanged(model: Recommender) -> TrainingRecord:
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        return trainer(model)

    assert not cache.get_or_train("k", model, unchanged, {}).found


def test_failed_training_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken(model: Recommender) -> TrainingRecord:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        ModelCache(tmp_path).get_or_train("k", fresh(), broken, {})
    assert not (tmp_path / "models").exists()
    assert ModelCache(tmp_path).get_or_train("k", fresh(), CountingTrainer(), {}).found is False

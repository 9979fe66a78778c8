"""Each model is trained once; damage is noticed; a full disk loses nothing."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from bench.cache.models import ModelCache
from bench.config.registry import load_class
from bench.config.source import options_of
from bench.machine.devices import DeviceInfo
from bench.train.loop import TrainingRecord
from models.base import Recommender
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


def test_one_trainer_per_key(tmp_path: Path) -> None:
    trainer = CountingTrainer()
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda _: ModelCache(tmp_path).get_or_train("k", fresh(), trainer, {}).found, range(8))
        )
    assert trainer.calls == 1
    assert sorted(found) == [False] + [True] * 7


@pytest.mark.parametrize("damage", ["flip a byte", "cut the record", "lose the weights"])
def test_damaged_model_is_set_aside_and_trained_again(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache, trainer = ModelCache(tmp_path), CountingTrainer()
    cache.get_or_train("k", fresh(), trainer, {})
    weights, record = cache.folder("k") / "weights.safetensors", cache.folder("k") / "record.json"
    if damage == "flip a byte":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(bytes(content))
    elif damage == "cut the record":
        record.write_text(record.read_text()[:20])
    else:
        weights.unlink()
    with caplog.at_level(logging.WARNING):
        again = cache.get_or_train("k", fresh(), trainer, {})
    assert not again.found
    assert trainer.calls == 2
    assert "damaged" in caplog.text
    assert len(list((tmp_path / "models").glob("k.damaged-*"))) == 1


def test_failed_training_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken(model: Recommender) -> TrainingRecord:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        ModelCache(tmp_path).get_or_train("k", fresh(), broken, {})
    assert not (tmp_path / "models").exists()
    assert ModelCache(tmp_path).get_or_train("k", fresh(), CountingTrainer(), {}).found is False


def test_full_disk_costs_the_cache_entry_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with caplog.at_level(logging.WARNING):
        trained = ModelCache(tmp_path).get_or_train("k", fresh(), CountingTrainer(), {})
    assert trained.record == RECORD
    assert "No space left" in caplog.text
    assert list((tmp_path / "models").iterdir()) == []

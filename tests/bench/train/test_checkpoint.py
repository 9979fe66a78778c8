"""A training that was stopped goes on as if it never had been, bit for bit."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.cache.models import ModelCache
from bench.config.registry import load_class
from bench.config.source import options_of
from bench.machine.seeding import deterministic
from bench.train.checkpoint import Checkpoint
from bench.train.loop import train
from bench.train.options import TrainConfig
from bench.train.record import TrainingRecord
from models.base import Recommender
from tests.registered import TRAINED
from tests.tiny import tiny_data

CONFIG = TrainConfig(max_epochs=5, batch_size=64, patience=1, lr_decay=0.9)


class Stop:
    """Ends a training at an epoch, as a signal does."""

    def __init__(self, at: int | None) -> None:
        self._at = at
        self.seen: list[int] = []

    def epoch(self, epoch: int, max_epochs: int, loss: float, recall: float) -> None:
        self.seen.append(epoch)
        if epoch == self._at:
            raise KeyboardInterrupt


def run(
    name: str, stop: Stop, file: Path | None, config: TrainConfig = CONFIG
) -> tuple[Recommender, TrainingRecord]:
    torch.manual_seed(7)
    model = load_class("backbone", name)(tiny_data(), options_of("backbone", name)())
    with deterministic(True):
        checkpoint = None if file is None else Checkpoint(file, 0.0)
        return model, train(model, tiny_data(), config, 3, 10**6, stop, checkpoint=checkpoint)


def scramble() -> None:
    """What another process has in its generators."""
    torch.manual_seed(99)
    np.random.seed(98)
    random.seed(97)


@pytest.mark.parametrize("name", TRAINED)
def test_stopped_twice_it_is_bit_equal_to_undisturbed(name: str, tmp_path: Path) -> None:
    file = tmp_path / "state.safetensors"
    whole, record = run(name, Stop(None), None)
    seen: list[int] = []
    for at in (2, 4):
        if at > record.epochs:
            continue
        stop = Stop(at)
        with pytest.raises(KeyboardInterrupt):
            run(name, stop, file)
        seen += stop.seen
        scramble()
    stop = Stop(None)
    resumed, again = run(name, stop, file)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    same = ("epochs", "best_epoch", "best_recall", "steps", "examples", "stopped_by", "propagations")
    assert [getattr(again, key) for key in same] == [getattr(record, key) for key in same]
    assert [point["loss"] for point in again.curve] == [point["loss"] for point in record.curve]
    assert len(seen + stop.seen) < 2 * record.epochs + 2, "it did not start anew"
    assert stop.seen[0] > 1


def test_the_clock_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "state.safetensors"
    config = TrainConfig(batch_size=64, stop="fixed", fixed_epochs=4)
    with pytest.raises(KeyboardInterrupt):
        run("lightgcn", Stop(3), file, config)
    kept = Checkpoint(file, 0.0).load()
    assert kept is not None
    _, record = run("lightgcn", Stop(None), file, config)
    assert kept[1]["epoch"] == 3
    assert record.seconds > kept[1]["watch"]["seconds"] > 0
    assert [point["seconds"] for point in record.curve] == sorted(point["seconds"] for point in record.curve)
    assert record.warmup_seconds == kept[1]["warmup_seconds"]


@pytest.mark.parametrize("damage", ["cut", "edited", "text"])
def test_a_damaged_state_starts_anew(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run("bpr", Stop(3), file)
    content = file.read_bytes()
    changed = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
    file.write_bytes({"cut": content[:-40], "edited": changed, "text": b"hello"}[damage])
    stop = Stop(None)
    run("bpr", stop, file)
    assert stop.seen[0] == 1
    assert "starts anew" in caplog.text


def test_nothing_is_kept_before_it_is_time(tmp_path: Path) -> None:
    file = tmp_path / "state.safetensors"
    model = load_class("backbone", "bpr")(tiny_data(), options_of("backbone", "bpr")())
    train(model, tiny_data(), CONFIG, 3, 10**6, Stop(None), checkpoint=Checkpoint(file, 3600.0))
    assert not file.exists()


def test_the_state_goes_when_the_model_is_published(tmp_path: Path) -> None:
    cache, key = ModelCache(tmp_path, 0.0), "0" * 24

    def publish(stop: Stop) -> None:
        model = load_class("backbone", "bpr")(tiny_data(), options_of("backbone", "bpr")())

        def fill(model: Recommender) -> TrainingRecord:
            return train(model, tiny_data(), CONFIG, 3, 10**6, stop, checkpoint=cache.checkpoint(key))

        cache.get_or_train(key, model, fill, {})

    with pytest.raises(KeyboardInterrupt):
        publish(Stop(3))
    assert [path.name for path in (tmp_path / "training").iterdir()] == [f"{key}.safetensors"]
    again = Stop(None)
    publish(again)
    assert again.seen[0] == 3
    assert list((tmp_path / "training").iterdir()) == []
    assert ModelCache(tmp_path).checkpoint(key) is None

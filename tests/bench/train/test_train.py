"""The training loop: precision, compilation and what a record says it cost."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import Any

import pytest
import torch

from bench.config.registry import load_class
from bench.config.source import options_of
from bench.record.progress import progress
from bench.train.loop import TrainingRecord, train, train_epoch
from bench.train.objective import compiler_errors
from bench.train.options import TrainConfig
from datasets.errors import InputError
from datasets.sampling import Batch
from models.base import Recommender
from tests.tiny import tiny_data

needs_compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in (os.environ.get("CXX"), "g++", "clang++") if name),
    reason="torch.compile needs a C++ compiler",
)


def fresh(name: str) -> Recommender:
    torch.manual_seed(0)
    model: Recommender = load_class("backbone", name)(tiny_data(), options_of("backbone", name)())
    return model


def trained(name: str, config: TrainConfig, **options: float) -> tuple[Recommender, TrainingRecord]:
    model = fresh(name)
    with progress("test") as shown:
        return model, train(model, tiny_data(), config, 0, 10**6, shown, **options)


TWO_EPOCHS = TrainConfig(batch_size=100, max_epochs=2, learning_rate=0.01)
"""On tiny data, whose 240 pairs leave a shorter batch at the end."""


@needs_compiler
def test_a_compiled_training_is_an_eager_one_and_compiles_off_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    eager, record = trained("lightgcn", TWO_EPOCHS)
    graphs: list[int] = []

    def counted(*arguments: Any) -> float:
        graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
        return train_epoch(*arguments)

    monkeypatch.setattr("bench.train.loop.train_epoch", counted)
    compiled, compiled_record = trained("lightgcn", replace(TWO_EPOCHS, compile=True))
    assert graphs[0] == graphs[1] > 0
    assert [point["loss"] for point in compiled_record.curve] == pytest.approx(
        [point["loss"] for point in record.curve], abs=1e-5
    )
    for own, other in zip(eager.parameters(), compiled.parameters(), strict=True):
        assert torch.allclose(own, other, atol=1e-5)


def test_without_a_compiler_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/nonexistent/compiler"))
    monkeypatch.setattr("torch._inductor.config.force_disable_caches", True)
    with pytest.raises(InputError, match=r"train\.compile=true does not work here.*set train\.compile=false"):
        trained("bpr", TrainConfig(compile=True, max_epochs=1))


def test_other_errors_keep_their_name() -> None:
    with pytest.raises(ZeroDivisionError), compiler_errors():
        raise ZeroDivisionError


def test_precision_holds_for_the_steps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Selection and measurement go on in the precision that the process had."""
    seen: dict[str, set[str]] = {"loss": set(), "embeddings": set()}
    kind = load_class("backbone", "bpr")
    real_loss, real_embeddings = kind.loss, kind.embeddings

    def loss(model: Recommender, batch: Batch) -> object:
        seen["loss"].add(torch.get_float32_matmul_precision())
        return real_loss(model, batch)

    def embeddings(model: Recommender) -> object:
        seen["embeddings"].add(torch.get_float32_matmul_precision())
        return real_embeddings(model)

    monkeypatch.setattr(kind, "loss", loss)
    monkeypatch.setattr(kind, "embeddings", embeddings)
    trained("bpr", TrainConfig(matmul_precision="high", max_epochs=1))
    assert seen == {"loss": {"high"}, "embeddings": {"highest"}}
    assert torch.get_float32_matmul_precision() == "highest"


def test_precision_is_restored_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def loss(model: Recommender, batch: Batch) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(load_class("backbone", "bpr"), "loss", loss)
    with pytest.raises(ZeroDivisionError):
        trained("bpr", TrainConfig(matmul_precision="medium", max_epochs=1))
    assert torch.get_float32_matmul_precision() == "highest"


def test_item_graphs_given_ready_made_are_on_the_clock_from_the_start() -> None:
    _, record = trained("bpr", TrainConfig(max_epochs=2), item_graph_seconds=500.0)
    times = [record.seconds, record.seconds_to_best, *(point["seconds"] for point in record.curve)]
    assert all(500.0 < time < 600.0 for time in times)
    assert TrainingRecord.from_json(record.to_json()) == record


def test_records_of_before_item_graphs_were_timed_are_read() -> None:
    _, record = trained("bpr", TrainConfig(max_epochs=1))
    values = record.to_json()
    del values["item_graph_seconds"]
    assert TrainingRecord.from_json(values) == replace(record, item_graph_seconds=0.0)

"""The training loop: precision, compilation and what a record says it cost."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import Any

import pytest
import torch

from bench.config.compose import expand
from bench.config.registry import load_class
from bench.config.source import options_of
from bench.record.progress import progress
from bench.train.loop import train, train_epoch
from bench.train.objective import compiler_errors
from bench.train.options import TrainConfig
from bench.train.record import TrainingRecord
from datasets.errors import InputError
from datasets.sampling import Batch
from models.base import Recommender
from tests.bench.machine.clocks import stop_time
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
    assert (record.propagations, compiled_record.propagations) == (12, None)
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


def test_records_of_before_costs_were_taken_say_that_they_do_not_know() -> None:
    _, record = trained("lightgcn", TrainConfig(max_epochs=1))
    values = record.to_json()
    del values["propagations"], values["processor_share"]
    assert TrainingRecord.from_json(values) == replace(record, propagations=None, processor_share=None)


@pytest.mark.parametrize(("name", "layers"), [("lightgcn", 2), ("bpr", 0)])
def test_propagations_are_those_of_the_steps_alone(name: str, layers: int) -> None:
    """Two epochs of three steps; evaluation and the discarded pass before the clock do not count."""
    _, record = trained(name, TWO_EPOCHS)
    assert (record.steps, record.propagations) == (6, 6 * layers)


def test_a_record_says_what_share_of_the_processors_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    time = stop_time(monkeypatch)

    def epoch(*arguments: Any) -> float:
        time.pass_by(wall=10.0, processor=7.0)
        return train_epoch(*arguments)

    monkeypatch.setattr("bench.train.loop.train_epoch", epoch)
    _, record = trained("bpr", TWO_EPOCHS, item_graph_seconds=100.0)
    assert (record.seconds, record.processor_share) == (120.0, 0.7)


RISING_THEN_FALLING = [0.1, 0.3, 0.2, 0.15]


def test_fixed_epochs_keep_the_last_weights_and_select_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(**options: Any) -> tuple[dict[str, torch.Tensor], TrainingRecord]:
        answers = iter(RISING_THEN_FALLING)
        monkeypatch.setattr("bench.train.loop.ValidationProbe.__call__", lambda *_: next(answers))
        config = TrainConfig(batch_size=100, learning_rate=0.01, **options)
        model, record = trained("bpr", config)
        return {name: value.clone() for name, value in model.state_dict().items()}, record

    fixed, record = run(stop="fixed", fixed_epochs=4, patience=0, max_epochs=1)
    assert (record.epochs, record.best_epoch, record.stopped_by) == (4, 4, "fixed")
    assert (record.best_recall, record.seconds_to_best) == (0.15, record.seconds)
    assert [point["valid_recall_at_20"] for point in record.curve] == RISING_THEN_FALLING
    best, stopped = run(max_epochs=4)
    assert (stopped.epochs, stopped.best_epoch, stopped.stopped_by) == (4, 2, "max_epochs")
    two, _ = run(stop="fixed", fixed_epochs=2)
    assert all(torch.equal(best[name], value) for name, value in two.items())
    assert not any(torch.equal(best[name], value) for name, value in fixed.items())


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["train.stop=fixed"],
            r"train\.stop=fixed needs a number of epochs: set train\.fixed_epochs=<number>\.",
        ),
        (["train.fixed_epochs=3"], r"train\.fixed_epochs=3 has no effect with train\.stop=patience: .*"),
        (["train.stop=soon"], r"train\.stop=soon is not valid: .*"),
    ],
)
def test_a_stopping_rule_without_its_number_is_one_sentence(overrides: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=f"^{sentence}$"):
        expand(overrides, multirun=False)

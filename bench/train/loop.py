"""One training loop for every backbone: Adam on BPR triples, early stopping on validation recall@20.

With ``train.stop=fixed`` it trains a given number of epochs and nothing is selected.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from bench.machine.devices import describe
from bench.machine.seeding import generator, seed_everything
from bench.machine.timing import Stopwatch
from bench.measure.evaluate import ValidationProbe
from bench.train import closed_form
from bench.train.checkpoint import (
    Checkpoint,
    generators,
    part,
    restore_generators,
    restore_weights,
    weights,
)
from bench.train.objective import Objective, compiler_errors, matmul_precision, objective_of
from bench.train.options import TrainConfig
from bench.train.record import TrainingRecord
from datasets.interactions import InteractionData
from datasets.sampling import Batch, TripleSampler
from models.base import Recommender
from models.closed_form import ClosedForm
from models.descent import descend
from models.optimiser import adam


class Progress(Protocol):
    """Is told of the epochs of a training run."""

    def epoch(self, epoch: int, max_epochs: int, loss: float, recall: float) -> None:
        """One evaluated epoch: its number, mean training loss and validation recall@20."""


class TrainingDiverged(RuntimeError):
    """The training loss is no longer finite."""


def train(
    model: Recommender,
    data: InteractionData,
    config: TrainConfig,
    seed: int,
    chunk_scores: int,
    progress: Progress,
    item_graph_seconds: float = 0.0,
    checkpoint: Checkpoint | None = None,
) -> TrainingRecord:
    """Train ``model`` on ``data``; it is left with the weights of its best validation epoch, or the last one
    where ``config.stop`` is ``fixed``.

    Args:
        item_graph_seconds: what building the item graphs cost that came with ``data`` ready-made
            (``bench.cache.item_graphs``); training starts with it on the clock.
        checkpoint: where the state is kept on the way, and where a training that was stopped goes on.

    Raises:
        TrainingDiverged: if the loss stops being finite.
        InputError: if the loss was to be compiled and cannot be.
    """
    if isinstance(model, ClosedForm):
        return closed_form.fit(model, data, chunk_scores)
    seed_everything(seed, "train")
    watch = Stopwatch(data.train.device, counting=not config.compile)
    watch.add(item_graph_seconds)
    sampler = _bound(model, data, seed, watch)
    probe = ValidationProbe(data.train, data.valid, data.num_users, data.num_items, chunk_scores)
    optimiser, schedule = _optimiser(model, config)
    objective, warmup_seconds = _warm_objective(model, data, config, len(sampler))
    kept, stopped_by = (_Last(), "fixed") if config.stop == "fixed" else (_Best(model), "max_epochs")
    run = _Run(model, optimiser, schedule, sampler, watch, kept, warmup_seconds)
    first, curve = run.resumed(checkpoint), run.curve
    for epoch in range(first, config.epochs + 1):
        if checkpoint is not None and epoch > first and checkpoint.is_due:
            run.keep(checkpoint, epoch)
        with watch.running(), matmul_precision(config.matmul_precision):
            loss = train_epoch(model, sampler, optimiser, config.batch_size, objective)
            schedule.step()
        _check(loss, epoch)
        if epoch % config.eval_every and epoch < config.epochs:
            continue
        recall = probe(model)
        curve.append({"epoch": epoch, "loss": loss, "valid_recall_at_20": recall, "seconds": watch.seconds})
        kept.offer(recall, epoch, watch.seconds)
        progress.epoch(epoch, config.epochs, loss, recall)
        if kept.misses > config.patience:
            stopped_by = "patience"
            break
    kept.restore()
    return _recorded(run, data, config, epoch, stopped_by, item_graph_seconds)


def _recorded(
    run: _Run,
    data: InteractionData,
    config: TrainConfig,
    epoch: int,
    stopped_by: str,
    item_graph_seconds: float,
) -> TrainingRecord:
    """What a training that ended after ``epoch`` took."""
    watch, kept, sampler = run.watch, run.kept, run.sampler
    return TrainingRecord(
        seconds=watch.seconds,
        seconds_to_best=kept.seconds,
        warmup_seconds=run.warmup_seconds,
        epochs=epoch,
        best_epoch=kept.epoch,
        best_recall=kept.recall,
        steps=epoch * sampler.num_batches(config.batch_size),
        examples=epoch * len(sampler),
        stopped_by=stopped_by,
        device=describe(data.train.device),
        curve=run.curve,
        item_graph_seconds=item_graph_seconds,
        propagations=watch.propagations,
        processor_share=watch.processor_share,
    )


def _bound(model: Recommender, data: InteractionData, seed: int, watch: Stopwatch) -> TripleSampler:
    """Bind the model; the sampler of its triples. Graphs and tables are part of what retraining costs."""
    with watch.running():
        model.bind(data)
        own = generator(seed, "sampling", data.train.device)
        return TripleSampler(data.train, data.train, data.num_items, own)


def _check(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise TrainingDiverged(f"the training loss is {loss} in epoch {epoch}; lower train.learning_rate")


def _optimiser(
    model: Recommender, config: TrainConfig
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Adam and its learning rate by epoch."""
    optimiser = adam(model.parameters(), config.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda epoch: config.lr_decay ** (epoch / config.lr_decay_every)
    )
    return optimiser, schedule


def train_epoch(
    model: Recommender,
    sampler: TripleSampler,
    optimiser: torch.optim.Optimizer,
    batch_size: int,
    objective: Objective | None = None,
) -> float:
    """One pass over the positives; the mean training loss. The host waits once, at the end.

    ``objective`` is that of ``model``, where it is a compiled one.
    """
    objective = objective or objective_of(model, sampler.pairs.device)
    return descend(model, sampler.epoch(batch_size), objective, optimiser)


def warm_up(
    model: Recommender, data: InteractionData, batch_size: int, objective: Objective | None = None
) -> float:
    """One discarded forward and backward pass, so that first-use costs stay off the clock: its seconds.

    Leaves parameters, buffers and every random state as they were. ``objective`` is that of ``model``,
    where it is a compiled one.
    """
    device = data.train.device
    objective = objective or objective_of(model, device)
    watch = Stopwatch(device, counting=False)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    pairs = data.train[:, :batch_size]
    batch = Batch(pairs[0], pairs[1], pairs[1].flip(0))
    with watch.running(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        model.train()
        objective(batch).backward()
        model.zero_grad(set_to_none=True)
    for name, buffer in model.named_buffers():
        buffer.copy_(buffers[name])
    return watch.seconds


def _warm_objective(
    model: Recommender, data: InteractionData, config: TrainConfig, num_pairs: int
) -> tuple[Objective, float]:
    """The objective, warmed up, and the seconds that took."""
    objective = objective_of(model, data.train.device, config.compile)
    sizes = [min(config.batch_size, num_pairs)]
    if config.compile:  # as first step of an epoch, as later step, as last step
        sizes = [*sizes, *sizes, num_pairs % config.batch_size or sizes[0]]
    with matmul_precision(config.matmul_precision), compiler_errors() if config.compile else nullcontext():
        return objective, sum(warm_up(model, data, size, objective) for size in sizes)


@dataclass
class _Run:
    """A training as it stands between two epochs."""

    model: Recommender
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    sampler: TripleSampler
    watch: Stopwatch
    kept: _Last
    warmup_seconds: float
    curve: list[dict[str, float]] = field(default_factory=list)

    def keep(self, checkpoint: Checkpoint, epoch: int) -> None:
        """Keep the state before ``epoch``."""
        drawn, facts = generators(self.sampler.pairs.device, self.sampler.generator)
        best = {f"best.{name}": value for name, value in self.kept.state.items()}
        tensors = {**weights(self.model, self.optimiser), **best, **drawn}
        facts |= {"epoch": epoch, "curve": self.curve, "warmup_seconds": self.warmup_seconds}
        facts |= {
            "schedule": self.schedule.last_epoch,
            "rate": self.optimiser.param_groups[0]["lr"],
            "watch": self.watch.counted(),
            "kept": self.kept.facts(),
        }
        checkpoint.keep(tensors, facts)

    def resumed(self, checkpoint: Checkpoint | None) -> int:
        """Take the state that was kept, if any; the epoch to go on with."""
        found = None if checkpoint is None else checkpoint.load()
        if found is None:
            return 1
        tensors, facts = found
        restore_weights(tensors, self.model, self.optimiser)
        restore_generators(tensors, facts, self.sampler.generator)
        device = self.sampler.pairs.device
        best = {name: value.to(device) for name, value in part(tensors, "best").items()}
        self.kept.take(best, **facts["kept"])
        self.schedule.last_epoch = facts["schedule"]
        for group in self.optimiser.param_groups:
            group["lr"] = facts["rate"]
        self.watch.take(**facts["watch"])
        self.curve += facts["curve"]
        self.warmup_seconds = facts["warmup_seconds"]
        return int(facts["epoch"])


class _Last:
    """The last epoch, whatever its recall: nothing is selected."""

    recall, epoch, seconds, misses = -1.0, 0, 0.0, 0

    def __init__(self) -> None:
        self.state: dict[str, Tensor] = {}

    def facts(self) -> dict[str, float]:
        return {"recall": self.recall, "epoch": self.epoch, "seconds": self.seconds, "misses": self.misses}

    def take(self, state: dict[str, Tensor], recall: float, epoch: int, seconds: float, misses: int) -> None:
        self.state = state
        self.recall, self.epoch, self.seconds, self.misses = recall, epoch, seconds, misses

    def offer(self, recall: float, epoch: int, seconds: float) -> None:
        self.recall, self.epoch, self.seconds = recall, epoch, seconds

    def restore(self) -> None:
        """The weights are there."""


class _Best(_Last):
    """The best state seen so far and the number of evaluations since."""

    def __init__(self, model: Recommender) -> None:
        super().__init__()
        self._model = model

    def offer(self, recall: float, epoch: int, seconds: float) -> None:
        if recall > self.recall:
            self.recall, self.epoch, self.seconds, self.misses = recall, epoch, seconds, 0
            self.state = {name: value.detach().clone() for name, value in self._model.state_dict().items()}
        else:
            self.misses += 1

    def restore(self) -> None:
        self._model.load_state_dict(self.state)

"""Fanchuan: flatten the forgetting users' scores, then push their rows from those of others and repair.

An entry of a machine-unlearning challenge, as ERASE (SIGIR 2026, arXiv 2603.08341) runs it:

    1  one pass over F: a step per batch down KL( softmax of a user's scores of all items || uniform )
    2  rounds of (a) per forget batch two steps down mean( -log softmax( z_F z_K^T / t ) ), K first those who
       ask and keep other pairs, then a batch of the retain set; (b) training on retain examples

z are the raw user rows. One optimiser throughout. The contrast is least where all similarities are *equal*,
not where they are low.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from datasets.errors import InputError
from datasets.sampling import Batch
from models.base import Recommender
from models.descent import descend, step
from models.optimiser import adam
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult, trainable
from unlearning.options import MethodOptions, RepairExamples
from unlearning.passes import cycle
from unlearning.repair_budget import repair_sampler, repair_size


@dataclass(frozen=True)
class FanchuanOptions(MethodOptions):
    """Published: ERASE's code."""

    flatten_epochs: Annotated[int, Field(ge=0)] = 1
    """Passes of stage 1. Published: 1."""

    rounds: Annotated[int, Field(ge=0)] = 8
    """Of stage 2. Published: 8."""

    temperature: Annotated[float, Field(gt=0)] = 1.15
    """t. Published: 1.15; .07 in a later work."""

    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Pairs of a forget or retain batch; null means the backbone's. Published: 256, the training's."""

    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Of one Adam for all stages; null means the backbone's."""

    repair_examples: RepairExamples = "erase"
    """Retain examples of each round's repair; ``erase``: max(32, 8 |F|), at most |D| / 10, as published."""


class Fanchuan(UnlearningMethod):
    """Flatten, contrast, repair."""

    Options = FanchuanOptions
    options: FanchuanOptions

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` where there are no user rows to contrast."""
        if "user" not in model.id_tables():
            raise InputError(
                f"method.name=fanchuan contrasts user rows and {type(model).__name__} has no user table: "
                "choose a backbone with one."
            )

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Unlearn in place."""
        options, model = self.options, original
        if not problem.request.forget.shape[1]:
            return UnlearnResult(model)
        size = options.batch_size or problem.batch_size
        optimiser = adam(trainable(model), options.learning_rate or problem.learning_rate)
        for _ in range(options.flatten_epochs):
            batches = problem.forget_sampler().epoch(size)
            loss = descend(model, batches, partial(from_uniform, model), optimiser, recorder)
            recorder.epoch(model, {"loss/flatten": loss})
        count = repair_size(options.repair_examples, problem)
        repair = repair_sampler(problem, count) if count else None
        others = cycle(problem.retain_sampler(), size)
        for _ in range(options.rounds):
            values = {"loss/contrast": self._push(model, problem, others, optimiser, recorder)}
            if repair is not None:
                batches = repair.epoch(problem.batch_size)
                values["loss/repair"] = descend(
                    model, batches, lambda batch: model.loss(batch).total, optimiser, recorder
                )
            recorder.epoch(model, values)
        return UnlearnResult(model)

    def _push(
        self,
        model: Recommender,
        problem: Problem,
        others: Iterator[Batch],
        optimiser: torch.optim.Optimizer,
        recorder: Recorder,
    ) -> float:
        """(a) of a round: two steps per forget batch, or one where nobody who asks keeps a pair."""
        size, forget = self.options.batch_size or problem.batch_size, problem.forget_sampler()
        table, temperature = model.id_tables()["user"], self.options.temperature
        kept = problem.retain.train[0].unique()
        clean = kept[torch.isin(kept, problem.request.forget[0])]
        losses = []
        for batch in forget.epoch(size):
            for keys in (clean, next(others).users):
                if len(keys):
                    contrast = partial(alike, table, keys, temperature)
                    losses.append(step(contrast, optimiser, batch))
                    recorder.examples(len(batch.users))
        return float(torch.stack(losses).mean())


def from_uniform(model: Recommender, batch: Batch) -> Tensor:
    """KL( softmax of the scores of all items || uniform ), the mean over the batch's users: a scalar."""
    users, items = model.embeddings()
    logs = (F.embedding(batch.users, users) @ items.t()).log_softmax(dim=1)
    return (logs.exp() * logs).sum(dim=1).mean() + math.log(items.shape[0])


def alike(table: Tensor, keys: Tensor, temperature: float, batch: Batch) -> Tensor:
    """mean( -log softmax( z_F z_K^T / t ) ) over the rows of the batch's users and of ``keys``: a scalar."""
    similarities = F.embedding(batch.users, table) @ F.embedding(keys, table).t()
    return -(similarities / temperature).log_softmax(dim=1).mean()

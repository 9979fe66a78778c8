"""SEIF: noise in proportion to the weights, then repair that gives forgotten items little weight.

The Seif team's entry of a machine-unlearning challenge, as ERASE (SIGIR 2026, arXiv 2603.08341) runs it:

    theta <- theta + eps |theta|, eps ~ N(0, noise^2), on embedding tables and head
    then epochs of SGD on retain examples, the loss of forgotten items times ``forgotten_weight``, with a
    little more noise before the last
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from datasets.sampling import Batch
from models.base import Recommender
from models.descent import descend
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult, trainable
from unlearning.options import MethodOptions, RepairExamples
from unlearning.repair_budget import repair_sampler, repair_size


@dataclass(frozen=True)
class SEIFOptions(MethodOptions):
    """Published: ERASE's code."""

    noise: Annotated[float, Field(ge=0)] = 0.6
    """Deviation of the noise, in units of each weight. Published: .6; .06 in a later work."""

    last_noise: Annotated[float, Field(ge=0)] = 0.005
    """The same before the last epoch. Published: .005."""

    epochs: Annotated[int, Field(ge=0)] = 4
    """Passes over the repair's examples. Published: 4."""

    learning_rate: Annotated[float, Field(gt=0)] = 7e-4
    """Of SGD. Published: 7e-4."""

    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    """Of SGD. Published: 5e-4."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of SGD. Published: .9."""

    forgotten_weight: Annotated[float, Field(ge=0)] = 0.05
    """Weight, in the repair, of pairs with an item that somebody forgot. Published: .05."""

    repair_examples: RepairExamples = "erase"
    """Retain examples of the repair; ``erase``: max(32, 8 |F|), at most |D| / 10, as published."""


class SEIF(UnlearningMethod):
    """Noise, then repair."""

    Options = SEIFOptions
    options: SEIFOptions

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Unlearn in place."""
        options, model = self.options, original
        if not problem.request.forget.shape[1]:
            return UnlearnResult(model)
        shake(tables_and_head(model), options.noise, problem.generator)
        recorder.epoch(model)
        count = repair_size(options.repair_examples, problem)
        if not count:
            return UnlearnResult(model)
        sampler, items = repair_sampler(problem, count), problem.request.forget[1].unique()
        optimiser = torch.optim.SGD(
            trainable(model),
            lr=options.learning_rate,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
        )
        for epoch in range(options.epochs):
            if epoch == options.epochs - 1:
                shake(tables_and_head(model), options.last_noise, problem.generator)
            batches = sampler.epoch(problem.batch_size)
            loss = descend(
                model,
                batches,
                lambda batch: weighted(model, batch, items, options.forgotten_weight),
                optimiser,
                recorder,
            )
            recorder.epoch(model, {"loss/repair": loss})
        return UnlearnResult(model)


def tables_and_head(model: Recommender) -> list[nn.Parameter]:
    """The ID tables, and the fusion weights, which stand for the head."""
    found = [*model.id_tables().values(), *model.fusion_parameters()]
    return list({id(parameter): parameter for parameter in found}.values())


@torch.no_grad()
def shake(parameters: list[nn.Parameter], deviation: float, generator: torch.Generator) -> None:
    """theta + eps |theta| in place, eps ~ N(0, deviation^2) for each entry."""
    for parameter in parameters if deviation else []:
        parameter.add_(
            torch.empty_like(parameter).normal_(0, deviation, generator=generator) * parameter.abs()
        )


def weighted(model: Recommender, batch: Batch, items: Tensor, weight: float) -> Tensor:
    """The training loss, pairs of ``items`` and the rest apart, the first times ``weight``: a scalar mean."""
    marked = torch.isin(batch.positives, items)
    total = batch.users.new_zeros((), dtype=torch.get_default_dtype())
    for mask, factor in ((~marked, 1.0), (marked, weight)):
        part = Batch(*(ids[mask] for ids in batch))
        if len(part.users):
            total = total + factor * len(part.users) * model.loss(part).total
    return total / len(batch.users)

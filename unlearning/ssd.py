"""SSD: selective synaptic dampening.

Foster, Schoepf, Brintrup, "Fast Machine Unlearning without Retraining through Selective Synaptic
Dampening", AAAI 2024. With I_D and I_F the diagonals of the Fisher information on all data and on the
forget set, every parameter that matters far more to the forget set is shrunk, once:

    theta_k <- min(lambda * I_D,k / I_F,k, 1) * theta_k    where I_F,k > alpha * I_D,k

No training, no optimiser. I_D is prepared before any request, as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from datasets.sampling import TripleSampler
from models.base import Recommender
from unlearning.base import (
    PreparedState,
    Problem,
    Recorder,
    Setting,
    UnlearningMethod,
    UnlearnResult,
    trainable,
)
from unlearning.fisher import diagonal_fisher
from unlearning.options import MethodOptions


@dataclass(frozen=True)
class SSDOptions(MethodOptions):
    """alpha and lambda: the values of the released code."""

    alpha: Annotated[float, Field(ge=0)] = 10.0
    """Selection: how many times more a parameter must matter to the forget set than to all data.
    Published: 10, searched from 1 to 100. It can never select above |D| / |F| (20 at a forget ratio of 5 %).
    Infinite (.inf) selects nothing."""

    dampening: Annotated[float, Field(ge=0)] = 1.0
    """lambda, dampening of the selected. Published: 1 (SSD), .1 (ERASURE)."""

    fisher: Literal["per_example", "batch"] = "per_example"
    """``per_example``: the definition. ``batch``: squared gradients of batch means, as in the released
    code; depends on the batch size."""

    data_batches: Annotated[int, Field(ge=1)] | None = None
    """Batches of all data from which I_D is estimated; null means a full pass, as published."""


class SSD(UnlearningMethod):
    """Dampens parameters that are special to the forget set."""

    Options = SSDOptions
    options: SSDOptions

    def prepare(self, original: Recommender, setting: Setting) -> PreparedState:
        """I_D, before any request: the original on its full graph."""
        options, data = self.options, setting.data
        sampler = TripleSampler(data.train, data.train, data.num_items, setting.generator)
        batches = sampler.epoch(setting.batch_size, options.data_batches)
        found = diagonal_fisher(original, batches, options.fisher, setting.generator)
        return PreparedState({str(place): values for place, values in enumerate(found)})

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Measure I_F and dampen in place; ``notes`` gives the share of dampened entries."""
        options = self.options
        batches = problem.forget_sampler().epoch(problem.batch_size)
        on_forget = diagonal_fisher(original, batches, options.fisher, problem.generator, recorder)
        on_data = [problem.prepared.tensors[str(place)] for place in range(len(on_forget))]
        share = dampen(original, on_data, on_forget, options.alpha, options.dampening)
        recorder.epoch(original, {"dampened_share": share})
        return UnlearnResult(original, notes={"dampened_share": share}, state=problem.prepared)


@torch.no_grad()
def dampen(
    model: Recommender, on_data: list[Tensor], on_forget: list[Tensor], alpha: float, dampening: float
) -> float:
    """The step above on every trainable parameter; returns the share of selected entries."""
    selected = total = 0
    for parameter, data, forget in zip(trainable(model), on_data, on_forget, strict=True):
        chosen = forget > alpha * data
        factor = torch.where(chosen, (dampening * data / forget).clamp(max=1), torch.ones_like(data))
        parameter.mul_(factor)
        selected += int(chosen.sum())
        total += parameter.numel()
    return selected / total

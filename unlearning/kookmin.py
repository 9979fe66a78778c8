"""Kookmin: redraw the weights on which forgetting and keeping agree least, then train on.

The method of the Kookmin team in a machine-unlearning challenge, as ERASE (SIGIR 2026, arXiv 2603.08341) runs
it. g_F and g_R are gradient sums over the forget set and over a retain sample, each divided by 128:

    s = g_R - g_F;   of each parameter the share ``init_rate`` of entries with the least |s| is redrawn;
    then training on retain examples, the redrawn entries with ten times the gradient
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from datasets.sampling import Batch
from models.base import Recommender
from models.descent import descend
from models.optimiser import adam
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult, trainable
from unlearning.options import MethodOptions, RepairExamples
from unlearning.passes import whole_pass
from unlearning.repair_budget import repair_sampler, repair_size

DIVISOR = 128
"""Of both gradient sums, whatever their number of examples (released)."""
OTHER_DEVIATION = 0.02
"""Of redrawn entries that are in no matrix (released)."""


@dataclass(frozen=True)
class KookminOptions(MethodOptions):
    """Published: ERASE's code."""

    init_rate: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of a parameter's entries that is redrawn. Published: .01; 1e-4 (README), .001 (a later work)."""

    scope: Literal["touched_rows", "all"] = "touched_rows"
    """Among which entries: rows that the forget set's gradient reaches, or all (published). In a table
    nearly all entries have s = 0 exactly, so among all mostly bystanders are redrawn."""

    retain_examples: Annotated[int, Field(ge=1)] = 128
    """Retain pairs of g_R. Published: at most 128, the clean pairs of who asks included."""

    boost: Annotated[float, Field(ge=0)] = 10.0
    """Factor on the gradients of redrawn entries. Published: 10."""

    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Of the repair's Adam, whose moments start empty; null means a tenth of the backbone's, as published."""

    repair_examples: RepairExamples = "erase"
    """Retain examples of the repair; ``erase``: max(32, 8 |F|), at most |D| / 10, as published."""


class Kookmin(UnlearningMethod):
    """Redraw, then repair."""

    Options = KookminOptions
    options: KookminOptions

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Unlearn in place; ``notes`` give the share of entries that were redrawn."""
        options, model = self.options, original
        if not problem.request.forget.shape[1]:
            return UnlearnResult(model)
        model.train()
        model.start_epoch()
        parameters = trainable(model)
        forget = _gradients(model, whole_pass(problem.forget_sampler()), recorder)
        sampled = next(iter(problem.retain_sampler().epoch(options.retain_examples, 1)))
        retain = _gradients(model, sampled, recorder)
        redrawn = [
            self._redraw(parameter, g_retain - g_forget, g_forget, problem.generator)
            for parameter, g_retain, g_forget in zip(parameters, retain, forget, strict=True)
        ]
        share = float(sum(int(mask.sum()) for mask in redrawn) / sum(p.numel() for p in parameters))
        recorder.epoch(model, {"redrawn_share": share})
        self._repair(model, redrawn, problem, recorder)
        return UnlearnResult(model, notes={"redrawn_share": share})

    def _redraw(
        self, parameter: nn.Parameter, s: Tensor, forget: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Redraw entries in place; which ones: bool of the parameter's shape."""
        candidates = torch.ones_like(s, dtype=torch.bool)
        if self.options.scope == "touched_rows":
            reached = (forget != 0).reshape(len(forget), -1).any(dim=1)
            candidates = reached.view(-1, *[1] * (forget.dim() - 1)).expand_as(forget)
        chosen = least(s, candidates, self.options.init_rate, generator)
        with torch.no_grad():
            parameter[chosen] = fresh(parameter, generator)[chosen]
        return chosen

    def _repair(
        self, model: Recommender, redrawn: Sequence[Tensor], problem: Problem, recorder: Recorder
    ) -> None:
        """Train on, redrawn entries with larger gradients."""
        count = repair_size(self.options.repair_examples, problem)
        if not count:
            return
        boost = self.options.boost
        hooks = [
            parameter.register_hook(lambda slope, mask=mask: torch.where(mask, boost * slope, slope))
            for parameter, mask in zip(trainable(model), redrawn, strict=True)
        ]
        optimiser = adam(trainable(model), self.options.learning_rate or problem.learning_rate / 10)
        batches = repair_sampler(problem, count).epoch(problem.batch_size)
        loss = descend(model, batches, lambda batch: model.loss(batch).total, optimiser, recorder)
        for hook in hooks:
            hook.remove()
        recorder.epoch(model, {"loss/repair": loss})


def _gradients(model: Recommender, batch: Batch, recorder: Recorder) -> list[Tensor]:
    """Gradient sums of the training loss over a batch, divided by 128; zeros where none arrives."""
    total = model.loss(batch).total * (len(batch.users) / DIVISOR)
    parameters = trainable(model)
    found = torch.autograd.grad(total, parameters, allow_unused=True)
    recorder.examples(len(batch.users))
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


def least(s: Tensor, candidates: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """The share ``rate`` of the ``candidates`` with the least |s|, ties broken by the generator: bool."""
    places = candidates.reshape(-1).nonzero().squeeze(1)
    places = places[torch.randperm(len(places), generator=generator, device=places.device)]
    order = s.reshape(-1)[places].abs().argsort(stable=True)
    chosen = torch.zeros_like(candidates, dtype=torch.bool).reshape(-1)
    chosen[places[order[: int(rate * len(places))]]] = True
    return chosen.view_as(s)


def fresh(parameter: Tensor, generator: torch.Generator) -> Tensor:
    """New values of a parameter's shape: +-1 / sqrt(d) for a matrix (Kaiming uniform, a = sqrt 5), Kaiming
    normal for four dimensions, else N(0, .02^2)."""
    drawn = torch.empty_like(parameter, requires_grad=False)
    if parameter.dim() == 2:
        bound = 1 / math.sqrt(parameter.shape[1])
        return drawn.uniform_(-bound, bound, generator=generator)
    deviation = OTHER_DEVIATION
    if parameter.dim() == 4:
        deviation = math.sqrt(2 / (parameter.shape[1] * parameter.shape[2] * parameter.shape[3]))
    return drawn.normal_(0, deviation, generator=generator)

"""NegGrad: gradient ascent on the forget set's ranking loss, with two rules that end it.

The plainest approximate method (Golatkar et al., CVPR 2020, and most tables since). Per forget batch:

    theta <- theta + eta * grad mean_i min(l_i, bound),   l_i = -log sigma(s_pos - s_neg)

It has no retain term, and ascent has no end of its own, so it stops where no forgotten pair beats its
negative any more (``loss_bound``) or where validation recall has suffered (``max_valid_loss``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from datasets.errors import InputError
from datasets.sampling import Batch, TripleSampler
from models.base import Recommender
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult, trainable
from unlearning.options import MethodOptions
from unlearning.passes import pair_losses
from unlearning.stopping import ValidationGuard

_NO_SLOPE = 1e-20
"""Norm of a gradient below which its direction is no more than rounding."""


@dataclass(frozen=True)
class NegGradOptions(MethodOptions):
    """No paper runs it on these backbones: every default is ours."""

    epochs: Annotated[int, Field(ge=0)] = 25
    """Passes over the forget set, at most. Published elsewhere: 5 (ERASURE), 10 (GNNDelete)."""

    optimiser: Literal["relative", "adam"] = "relative"
    """``relative``: a step along the gradient, as long as ``step`` times the norm of the ID rows of the
    batch's users and items, whatever the scale of a backbone. ``adam``: torch's Adam at
    ``learning_rate`` (ERASURE); it moves bystanders as far as the forgotten rows."""

    step: Annotated[float, Field(gt=0)] = 0.05
    """Length of a ``relative`` step."""

    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Of ``adam``; null means the backbone's. Published elsewhere: 1e-3 to 1e-5 (ERASURE)."""

    loss_bound: Annotated[float, Field(gt=0)] | None = 0.6931
    """A pair whose loss has reached it pushes no more, a batch whose median has reached it takes no step,
    and a pass without a step is the last; log 2 is a tie with a random item. Null: none."""

    max_valid_loss: Annotated[float, Field(ge=0, le=1)] | None = None
    """Largest relative loss of validation recall@20 among those who stay: the run ends at the first
    epoch that exceeds it and goes back to the one before. Null: not looked at, as by every other method."""


class NegGrad(UnlearningMethod):
    """Gradient ascent on the forget set alone."""

    Options = NegGradOptions
    options: NegGradOptions

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` where a relative step has no unit."""
        if self.options.optimiser == "relative" and not model.id_tables():
            raise InputError(
                f"method.optimiser=relative measures steps by ID rows and {type(model).__name__} has no ID "
                "table: set method.optimiser=adam."
            )

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Ascend in place; ``notes`` says which rule ended it."""
        options, model = self.options, original
        guarded = options.max_valid_loss is not None and options.epochs > 0
        guard = ValidationGuard(model, problem, options.max_valid_loss or 0.0) if guarded else None
        sampler, climb = problem.forget_sampler(), Climb(model, options, problem.learning_rate)
        stopped_by = "epochs"
        for _ in range(options.epochs):
            loss, moved = self._pass(model, sampler, climb, problem, recorder)
            held = guard is None or guard.holds(model)
            recorder.epoch(model, {"loss/forget": loss})
            if not (held and moved):
                stopped_by = "loss_bound" if held else "max_valid_loss"
                break
        return UnlearnResult(model, notes={"stopped_by": stopped_by})

    def _pass(
        self, model: Recommender, sampler: TripleSampler, climb: Climb, problem: Problem, recorder: Recorder
    ) -> tuple[float, bool]:
        """One pass over the forget set: the mean loss on the way, and whether any step was taken."""
        model.train()
        model.start_epoch()
        bound = self.options.loss_bound or math.inf
        seen, moved = [], False
        for batch in sampler.epoch(problem.batch_size):
            losses = pair_losses(model, batch)
            below = float(losses.detach().median()) < bound
            recorder.examples(len(losses), steps=int(below))
            seen.append(losses.detach())
            if below:
                climb(losses.clamp(max=bound).mean(), batch)
                moved = True
        return float(torch.cat(seen).mean()), moved


class Climb:
    """One ascent step of either kind on an objective, its parameters changed in place."""

    def __init__(self, model: Recommender, options: NegGradOptions, learning_rate: float) -> None:
        self._model, self._step = model, options.step
        self._parameters = trainable(model)
        self._adam = None
        if options.optimiser == "adam":
            rate = options.learning_rate or learning_rate
            self._adam = torch.optim.Adam(self._parameters, lr=rate, maximize=True)

    def __call__(self, objective: Tensor, batch: Batch) -> None:
        """Move the parameters up ``objective``; ``batch`` gives the unit of a relative step."""
        gradients = torch.autograd.grad(objective, self._parameters, allow_unused=True)
        if self._adam is not None:
            for parameter, gradient in zip(self._parameters, gradients, strict=True):
                parameter.grad = gradient
            self._adam.step()
            self._adam.zero_grad(set_to_none=True)
            return
        norm = _norm([g for g in gradients if g is not None])
        # Where every pair is memorised so well that its loss underflows there is no direction to go.
        length = torch.where(norm > _NO_SLOPE, self._step * self._row_norm(batch) / norm, 0.0)
        with torch.no_grad():
            for parameter, gradient in zip(self._parameters, gradients, strict=True):
                if gradient is not None:
                    parameter.add_(gradient * length)

    @torch.no_grad()
    def _row_norm(self, batch: Batch) -> Tensor:
        """Frobenius norm of the ID rows of the batch's users and positives, each counted once."""
        ids = {"user": batch.users.unique(), "item": batch.positives.unique()}
        return _norm([table[ids[side]] for side, table in self._model.id_tables().items()])


def _norm(tensors: list[Tensor]) -> Tensor:
    """Euclidean norm of all entries together."""
    return torch.stack([torch.linalg.vector_norm(t) for t in tensors]).square().sum().sqrt()

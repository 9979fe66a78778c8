"""RRL: recommendation reverse learning, a reverse BPR whose step spares what others need.

You et al., "RRL: Recommendation Reverse Learning", AAAI 2024. The trained model descends the BPR loss
of the forgotten triples with their items exchanged, and the diagonal Fisher information I of the retain
set says where that would hurt the collaborative information of others:

    theta <- theta - eta * grad mean_i l_i / (I / mean(I) + damping),   l_i = -log sigma(s_neg - s_pos)

Abstract and mechanism are public, weights and schedule are not; docs/methods/rrl.md says what is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from datasets.sampling import Batch
from models.base import Recommender
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult, trainable
from unlearning.fisher import diagonal_fisher
from unlearning.options import MethodOptions
from unlearning.passes import pair_losses
from unlearning.stopping import ValidationGuard


@dataclass(frozen=True)
class RRLOptions(MethodOptions):
    """The paper's values are unknown to us: every default is ours."""

    epochs: Annotated[int, Field(ge=0)] = 25
    """Passes over the forget set, at most. 5 in a re-implementation."""

    step: Annotated[float, Field(gt=0)] = 0.2
    """Share of the way to ``target`` that the linearised loss goes in one step (Polyak's step size), so
    that eta needs no unit. A re-implementation takes SGD at .001."""

    target: Annotated[float, Field(ge=0)] = 0.3
    """Mean reverse loss of a batch at which no step is taken; log 2 is a tie with random items,
    below it they win."""

    max_valid_loss: Annotated[float, Field(ge=0, le=1)] | None = None
    """Largest relative loss of validation recall@20 among those who stay: the run ends at the first
    epoch that exceeds it and goes back to the one before. Null: not looked at, as by every other method."""

    damping: Annotated[float, Field(gt=0)] = 0.1
    """Added to the Fisher information in units of its mean over the entries it reaches; large values
    give plain reverse BPR. A re-implementation adds 1e-4 to the raw values."""

    fisher: Literal["per_example", "batch"] = "per_example"
    """See unlearning/fisher.py."""

    fisher_batches: Annotated[int, Field(ge=1)] | None = None
    """Retain batches for the Fisher information; null means a full pass. 4 of 4,096 in a
    re-implementation."""


class RRL(UnlearningMethod):
    """Preconditioned reverse BPR, without repair."""

    Options = RRLOptions
    options: RRLOptions

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Unlearn in place."""
        options, model = self.options, original
        if not options.epochs:
            return UnlearnResult(model)
        batches = problem.retain_sampler().epoch(problem.batch_size, options.fisher_batches)
        fisher = diagonal_fisher(model, batches, options.fisher, problem.generator, recorder)
        scales = preconditioner(fisher, options.damping)
        sampler, tolerance = problem.forget_sampler(), options.max_valid_loss
        guard = None if tolerance is None else ValidationGuard(model, problem, tolerance)
        for _ in range(options.epochs):
            model.train()
            model.start_epoch()
            losses = []
            for batch in sampler.epoch(problem.batch_size):
                exchanged = Batch(batch.users, batch.negatives, batch.positives)
                loss = pair_losses(model, exchanged).mean()
                polyak_step(trainable(model), loss, scales, options.step, options.target)
                losses.append(loss.detach())
                recorder.examples(batch.users.numel())
            held = guard is None or guard.holds(model)
            recorder.epoch(model, {"loss/reverse": float(torch.stack(losses).mean())})
            if not held:
                return UnlearnResult(model, notes={"stopped_by": "max_valid_loss"})
        return UnlearnResult(model)


def preconditioner(fisher: list[Tensor], damping: float) -> list[Tensor]:
    """1 / (I / mean(I) + damping) for every entry; the mean is over the entries above zero."""
    total = torch.stack([f.sum() for f in fisher]).sum()
    reached = torch.stack([(f > 0).sum() for f in fisher]).sum()
    mean = (total / reached.clamp(min=1)).clamp(min=torch.finfo(total.dtype).tiny)
    return [1 / (f / mean + damping) for f in fisher]


def polyak_step(
    parameters: list[torch.nn.Parameter], loss: Tensor, scales: list[Tensor], step: float, target: float
) -> None:
    """theta <- theta - eta * scale * gradient, with Polyak's eta.

    The linearised loss goes ``step`` of the way to ``target``. Nothing moves where the loss is at the
    target or below, or has no slope.
    """
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    moves = [None if g is None else g * s for g, s in zip(gradients, scales, strict=True)]
    slope = torch.stack(
        [(g * m).sum() for g, m in zip(gradients, moves, strict=True) if g is not None and m is not None]
    ).sum()
    eta = torch.where(slope > 1e-30, step * (loss.detach() - target).clamp(min=0) / slope, 0.0)
    with torch.no_grad():
        for parameter, move in zip(parameters, moves, strict=True):
            if move is not None:
                parameter.sub_(eta * move)

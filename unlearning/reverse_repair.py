"""The two phases that MMRecUn and TRU share (TRU, arXiv 2604.02183, Eq. 2 and 7).

Per epoch, first a reverse phase on the forget set, then a repair phase on the retain set:

    theta_k <- theta_k - eta * alpha * gamma_k * grad_k J(forget batch)     reverse, J is minimised
    theta   <- theta   - eta' * (1 - alpha) * grad L(retain batch)           repair, with Adam
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from datasets.errors import InputError
from datasets.sampling import Batch
from models.base import Recommender
from models.descent import descend
from models.losses import bpr_per_pair, pair_scores, triple_rows
from models.optimiser import adam
from unlearning.base import Problem, Recorder, trainable
from unlearning.gradients import Objective, untouched
from unlearning.options import ReverseRepairOptions

ReverseOptimiser = Literal["sgd", "adam_lr", "adam_grad"]

SMALLEST_RESPONSE = 1e-12
"""Guard of a division: scores that no parameter moves."""


class Group(NamedTuple):
    """Parameters that share one ``scale`` of the reverse step (gamma; 1 without branch scaling)."""

    parameters: Sequence[nn.Parameter]
    scale: float = 1.0


def check_options(options: ReverseRepairOptions) -> None:
    """Raise ``InputError`` where options contradict each other."""
    if options.form == "ascent" and options.margin:
        raise InputError(
            f"method.margin={options.margin:g} has no meaning with method.form=ascent: "
            "set method.margin=0 or method.form=swap."
        )


def reverses(options: ReverseRepairOptions, problem: Problem) -> bool:
    """Whether there is a reverse phase at all: something to forget, and a step above zero."""
    return options.alpha > 0 and problem.request.forget.shape[1] > 0


def base_objective(model: Recommender, options: ReverseRepairOptions, batch: Batch) -> Tensor:
    """The base forget objective to minimise on a batch: a scalar mean over its triples.

    ``ascent`` is minus the backbone's loss. ``swap`` is the BPR loss of the triple with its two items
    exchanged, on the model's pair scores; ``full`` adds the other training terms of that exchanged
    triple, as they are.
    """
    if options.form == "ascent":
        terms = model.loss(batch)
        return -(terms.total if options.reverse_terms == "full" else terms.ranking)
    swapped = swapped_bpr(model, batch, options.margin)
    if options.reverse_terms == "ranking":
        return swapped
    terms = model.loss(Batch(batch.users, batch.negatives, batch.positives))
    return torch.stack([swapped, terms.regulariser, *terms.auxiliary.values()]).sum()


def swapped_bpr(model: Recommender, batch: Batch, margin: float) -> Tensor:
    """Mean of -log sigma(s_neg - s_pos - margin), the bounded reverse BPR."""
    users, positives, negatives = triple_rows(*model.embeddings(), batch)
    return bpr_per_pair(pair_scores(users, negatives), pair_scores(users, positives), margin).mean()


def reduced(mean: Tensor, options: ReverseRepairOptions, batch: Batch) -> Tensor:
    """A batch mean, or the sum over the batch, as ``options.reduction`` says."""
    return mean * batch.users.numel() if options.reduction == "sum" else mean


def reverse_rate(
    model: Recommender,
    parameters: Sequence[nn.Parameter],
    options: ReverseRepairOptions,
    optimiser: ReverseOptimiser,
    problem: Problem,
) -> float:
    """eta of the reverse phase, before alpha and gamma. Adam knows no unit: its steps have eta's size.

    ``parameters`` are those that the phase may move: where few may, each has to go further.
    """
    if options.reverse_lr is None:
        return problem.learning_rate
    if optimiser != "sgd" or options.reverse_unit == "raw" or not reverses(options, problem):
        return options.reverse_lr
    model.train()
    with untouched(model, problem.generator):
        batch = next(iter(problem.forget_sampler().epoch(problem.batch_size)))
        response = score_response(model, parameters, batch)
        return options.reverse_lr / max(response, SMALLEST_RESPONSE)


def score_response(model: Recommender, parameters: Sequence[nn.Parameter], batch: Batch) -> float:
    """How far, on average, a plain step of 1 with full push lowers the scores of the batch's positives.

    |grad S|^2 / B, with S the sum over the batch [B] of positive minus negative score: to first order,
    a step of -eta grad S lowers S by eta |grad S|^2. It depends on the size of the embeddings and on how
    the backbone propagates them, by orders of magnitude.
    """
    users, positives, negatives = triple_rows(*model.embeddings(), batch)
    total = (pair_scores(users, positives) - pair_scores(users, negatives)).sum()
    gradients = torch.autograd.grad(total, list(parameters), allow_unused=True)
    squares = [float(g.square().sum()) for g in gradients if g is not None]
    return sum(squares) / batch.users.numel()


class ReversePhase:
    """One reverse phase: a fresh optimiser over the given groups, and nothing outside them moves.

    Args:
        groups: what may move, and how far relative to the others.
        optimiser: how scale and alpha reach the step. ``sgd``: the equation as printed. ``adam_lr``:
            Adam with a learning rate per group (the only place where a factor acts, because Adam
            divides a constant factor on the gradient out again). ``adam_grad``: the factor on the
            gradient all the same, to show that.
        learning_rate: eta.
        alpha: reverse ratio.
    """

    def __init__(
        self, groups: Sequence[Group], optimiser: ReverseOptimiser, learning_rate: float, alpha: float
    ) -> None:
        self._parameters = [p for group in groups for p in group.parameters]
        scales = [alpha * group.scale for group in groups]
        if optimiser == "adam_grad":
            self._factors = [s for s, group in zip(scales, groups, strict=True) for _ in group.parameters]
            self._optimiser: torch.optim.Optimizer = torch.optim.Adam(self._parameters, lr=learning_rate)
            return
        self._factors = [1.0] * len(self._parameters)
        kind = torch.optim.SGD if optimiser == "sgd" else torch.optim.Adam
        self._optimiser = kind(
            [
                {"params": list(group.parameters), "lr": learning_rate * scale}
                for group, scale in zip(groups, scales, strict=True)
            ],
            lr=learning_rate,
        )

    def run(self, objective: Objective, batches: Iterable[Batch], recorder: Recorder) -> float:
        """One step per batch; the mean objective. The host waits once, at the end."""
        losses = []
        for batch in batches:
            loss = objective(batch)
            self._step(loss)
            losses.append(loss.detach())
            recorder.examples(batch.users.numel())
        return float(torch.stack(losses).mean())

    def _step(self, loss: Tensor) -> None:
        gradients = torch.autograd.grad(loss, self._parameters, allow_unused=True)
        for parameter, gradient, factor in zip(self._parameters, gradients, self._factors, strict=True):
            parameter.grad = gradient if gradient is None or factor == 1.0 else gradient * factor
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)


class Repair:
    """Ordinary training on the retain set with an Adam of its own, whose state lives through all epochs.

    No mask, no scaling, no gate: the backbone's whole training loss on every parameter.

    Args:
        model: changed in place.
        problem: gives the retain set and the batch size.
        learning_rate: of Adam, any factor included.
        batches: per epoch; None means a full pass.
    """

    def __init__(
        self, model: Recommender, problem: Problem, learning_rate: float, batches: int | None
    ) -> None:
        self._model = model
        self.sampler = problem.retain_sampler()
        self._batch_size = problem.batch_size
        self._batches = batches
        self._optimiser = adam(trainable(model), learning_rate)

    def epoch(self, recorder: Recorder, objective: Objective | None = None) -> float:
        """One pass on ``objective`` (by default the training loss); its mean over the batches."""
        batches = self.sampler.epoch(self._batch_size, self._batches)
        return descend(self._model, batches, objective or self._training_loss, self._optimiser, recorder)

    def _training_loss(self, batch: Batch) -> Tensor:
        return self._model.loss(batch).total


def make_repair(model: Recommender, problem: Problem, options: ReverseRepairOptions) -> Repair:
    """The repair phase of the reverse-repair protocol: learning rate eta' * (1 - alpha)."""
    learning_rate = (options.repair_lr or problem.learning_rate) * (1 - options.alpha)
    return Repair(model, problem, learning_rate, options.repair_batches)

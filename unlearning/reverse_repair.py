"""The two phases that MMRecUn and TRU share (TRU, arXiv 2604.02183, Eq. 2 and 7).

Per epoch, first a reverse phase on the forget set, then a repair phase on the retain set:

    theta_k <- theta_k - eta * alpha * gamma_k * grad_k J(forget batch)     reverse, J is minimised
    theta   <- theta   - eta' * (1 - alpha) * grad L(retain batch)           repair, with Adam
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
from unlearning.gradients import Objective, counted, untouched
from unlearning.options import ReverseRepairOptions

ReverseOptimiser = Literal["sgd", "adam_lr", "adam_grad"]

SMALLEST_RESPONSE = 1e-12
"""Guard of a division: scores that no parameter moves."""


class Group(NamedTuple):
    """Parameters that share one ``scale`` of the reverse step (gamma; 1 without branch scaling)."""

    parameters: Sequence[nn.Parameter]
    scale: float = 1.0


class Term(NamedTuple):
    """A part of what a reverse step descends, and the parameters that its gradient may move."""

    objective: Objective
    parameters: Sequence[nn.Parameter]


def check_options(options: ReverseRepairOptions) -> None:
    """Raise ``InputError`` where options contradict each other."""
    if options.form == "ascent" and options.margin:
        raise InputError(
            f"method.margin={options.margin:g} has no meaning with method.form=ascent: "
            "set method.margin=0 or method.form=swap."
        )


def reading(options: ReverseRepairOptions, **own: object) -> str:
    """Which reading of the papers these options are, for the notes of a run; ``own`` adds a method's own."""
    repaired = "full pass" if options.repair_batches is None else f"{options.repair_batches} batches"
    shared = {"form": options.form, "reversed": options.reverse_terms, **own, "repair": repaired}
    return ", ".join(f"{name} {value}" for name, value in shared.items())


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


class ReverseRate:
    """eta of the reverse phase, before alpha and the scales, for whatever the phase is about to move.

    With plain steps in ``score`` units it is measured once, on one batch: per parameter, how far a step of
    1 at full push lowers the scores of forgotten pairs. Where few parameters may move, each has to go
    further. Adam knows no such unit: its steps have eta's size.

    Args:
        matched: whether eta makes up for what the scales take from the mean step.
    """

    def __init__(
        self,
        model: Recommender,
        options: ReverseRepairOptions,
        optimiser: ReverseOptimiser,
        problem: Problem,
        recorder: Recorder,
        *,
        matched: bool = False,
    ) -> None:
        adam_lr, plain_lr = (
            problem.learning_rate if rate is None else rate
            for rate in (options.reverse_adam_lr, options.reverse_lr)
        )
        plain = optimiser == "sgd"
        self._rate = plain_lr if plain else adam_lr
        self._matched = matched and optimiser != "adam_grad"  # Adam divides the scales out by itself
        self._per_score = plain and options.reverse_unit == "score" and options.reverse_lr is not None
        if plain and (self._per_score or self._matched):
            self._reach = _measured_responses(model, problem, recorder)
        else:
            self._reach = [(id(p), float(p.numel())) for p in trainable(model)]

    def of(self, groups: Sequence[Group]) -> float:
        """eta for a phase over ``groups``.

        Matched, a step moves the scores (with Adam: the parameters, on average) as far as one without
        scales would.
        """
        scales = {id(p): group.scale for group in groups for p in group.parameters}
        moved = [(reach, scales[key]) for key, reach in self._reach if key in scales]
        whole = max(sum(reach for reach, _ in moved), SMALLEST_RESPONSE)
        rate = self._rate / whole if self._per_score else self._rate
        if not self._matched:
            return rate
        return rate * whole / max(sum(reach * scale for reach, scale in moved), SMALLEST_RESPONSE)


def _measured_responses(model: Recommender, problem: Problem, recorder: Recorder) -> list[tuple[int, float]]:
    """``score_responses`` on one batch of forgotten pairs, by identity of the parameter; counted as cost."""
    model.train()
    with untouched(model, problem.generator):
        batch = next(counted(problem.forget_sampler().epoch(problem.batch_size), recorder))
        responses = score_responses(model, trainable(model), batch)
    return [(id(p), response) for p, response in zip(trainable(model), responses, strict=True)]


def score_responses(model: Recommender, parameters: Sequence[nn.Parameter], batch: Batch) -> list[float]:
    """How far, on average, a plain step of 1 with full push lowers the scores of the batch's positives.

    Per parameter |grad S|^2 / B, with S the sum over the batch [B] of positive minus negative score: to
    first order, a step of -eta grad S lowers S by eta |grad S|^2. It depends on the size of the embeddings
    and on how the backbone propagates them, by orders of magnitude.
    """
    users, positives, negatives = triple_rows(*model.embeddings(), batch)
    total = (pair_scores(users, positives) - pair_scores(users, negatives)).sum()
    gradients = torch.autograd.grad(total, list(parameters), allow_unused=True)
    return [0.0 if g is None else float(g.square().sum()) / batch.users.numel() for g in gradients]


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

    def run(
        self,
        terms: Sequence[Term],
        batches: Iterable[Batch],
        recorder: Recorder,
        after_step: Callable[[], None] | None = None,
    ) -> list[float]:
        """One step per batch on the sum of the terms; the mean of each. The host waits once, at the end."""
        losses = []
        for batch in batches:
            losses.append(self._step(terms, batch))
            if after_step is not None:
                after_step()
            recorder.examples(batch.users.numel())
        return [float(mean) for mean in torch.stack(losses).mean(dim=0).unbind()]

    def _step(self, terms: Sequence[Term], batch: Batch) -> Tensor:
        """One step; the value of each term before it: [terms]."""
        gradients: dict[int, Tensor] = {}
        values = []
        for term in terms:
            loss = term.objective(batch)
            values.append(loss.detach())
            found = torch.autograd.grad(loss, list(term.parameters), allow_unused=True)
            for parameter, gradient in zip(term.parameters, found, strict=True):
                if gradient is not None:
                    before = gradients.get(id(parameter))
                    gradients[id(parameter)] = gradient if before is None else before + gradient
        for parameter, factor in zip(self._parameters, self._factors, strict=True):
            own = gradients.get(id(parameter))
            parameter.grad = own if own is None or factor == 1.0 else own * factor
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        return torch.stack(values)


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

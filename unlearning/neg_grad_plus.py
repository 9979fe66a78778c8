"""NegGrad+: descent on the retain set and ascent on the forget set in one step.

As run by Kurmanji et al., NeurIPS 2023 (SCRUB), among its baselines. For each retain batch one forget
batch, the forget set cycled:

    minimise  (1 - w) * L(retain batch) - w * mean_i min(l_i, bound),   l_i = -log sigma(s_pos - s_neg)

L is the backbone's whole training loss. With w = 0 it is fine-tuning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from datasets.sampling import Batch
from models.base import Recommender
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult
from unlearning.options import MethodOptions
from unlearning.passes import cycle, pair_losses
from unlearning.reverse_repair import Repair


@dataclass(frozen=True)
class NegGradPlusOptions(MethodOptions):
    """Published values are those of image classifiers."""

    epochs: Annotated[int, Field(ge=0)] = 5
    """Passes over the retain set. Published: 10 or 5."""

    forget_weight: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """w, one minus the paper's a. Published: .05 on small data, .0001 on larger; at .05 nothing is forgotten
    here."""

    loss_bound: Annotated[float, Field(gt=0)] | None = 0.6931
    """A forgotten pair whose loss has reached it pushes no more; log 2 is a tie with a random item.
    Null: none, as published. Ours."""

    learning_rate: Annotated[float, Field(gt=0)] | None = 0.003
    """Of its own fresh Adam; null means the backbone's. Published: .01, for SGD."""

    batches_per_epoch: Annotated[int, Field(ge=1)] | None = None
    """Cap on the retain batches of one pass; null means a full pass."""


class NegGradPlus(UnlearningMethod):
    """Joint descent and ascent."""

    Options = NegGradPlusOptions
    options: NegGradPlusOptions

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Train ``original`` in place."""
        options, model = self.options, original
        rate = options.learning_rate or problem.learning_rate
        repair = Repair(model, problem, rate, options.batches_per_epoch)
        weight, bound = options.forget_weight, options.loss_bound or math.inf
        forget = cycle(problem.forget_sampler(), problem.batch_size)

        def joint(retained: Batch) -> Tensor:
            forgotten = next(forget)
            recorder.examples(forgotten.users.numel(), steps=0)  # one gradient with the retain batch
            ascent = pair_losses(model, forgotten).clamp(max=bound).mean()
            return (1 - weight) * model.loss(retained).total - weight * ascent

        for _ in range(options.epochs):
            loss = repair.epoch(recorder, joint if weight else None)
            recorder.epoch(model, {"loss/joint": loss})
        return UnlearnResult(model)

"""SCRUB: a student that moves away from its teacher on the forget set and stays with it elsewhere.

Kurmanji, Triantafillou, Hayes, Triantafillou, "Towards Unbounded Machine Unlearning", NeurIPS 2023. The
teacher is the original, the student starts from it. Per epoch, the first for ``max_epochs`` epochs only:

    max   on the forget set   maximise  T^2 KL(teacher || student)
    min   on the retain set   minimise  gamma * L + alpha * T^2 KL(teacher || student)

L is the backbone's training loss. The distribution of a pair is the softmax of its user's scores for
the item and for sampled items (``unlearning.distillation``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from datasets.sampling import Batch
from models.base import Recommender
from models.descent import descend
from models.optimiser import adam
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult, trainable
from unlearning.distillation import Embeddings, divergence, frozen, sample_items, score_lists, spread
from unlearning.options import MethodOptions


@dataclass(frozen=True)
class SCRUBOptions(MethodOptions):
    """Published values are those of the paper's small-scale image setting."""

    epochs: Annotated[int, Field(ge=0)] = 3
    """Epochs, each with a min pass. Published: 10 (small scale), 3 (large)."""

    max_epochs: Annotated[int, Field(ge=0)] = 3
    """Epochs that start with a max pass. Published: 3 (small scale), 2 (large)."""

    gamma: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the training loss in the min pass. Published: 1 (small scale), .99 (large)."""

    alpha: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the divergence in the min pass. Published: .5 (small scale), .001 (large)."""

    temperature: Annotated[float, Field(gt=0)] = 0.3
    """In units of the spread of the teacher's list. Published: 2 (small scale), 4 (large), of plain logits;
    there the student moves away by being surer still, and nothing is forgotten."""

    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Of one Adam for both passes; null means the backbone's. Published: 5e-4, decayed at the end."""

    forget_batch_size: Annotated[int, Field(ge=1)] = 64
    """Pairs per step of the max pass. Published: 64 (small scale), 32 (large)."""

    retain_batches: Annotated[int, Field(ge=1)] | None = None
    """Cap on the retain batches (of the backbone's size) of a min pass; null means a full pass."""

    candidates: Annotated[int, Field(ge=1)] = 100
    """Sampled items of a score list, drawn anew for each batch. Ours."""


class SCRUB(UnlearningMethod):
    """Alternating max and min passes."""

    Options = SCRUBOptions
    options: SCRUBOptions

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Train ``original`` in place; the teacher sees the graph it is bound to."""
        options, model = self.options, original
        optimiser = adam(trainable(model), options.learning_rate or problem.learning_rate)
        retain, forget = problem.retain_sampler(), problem.forget_sampler()
        distance = self._distance(model, retain.candidates, problem.generator)

        def away(batch: Batch) -> Tensor:
            return -distance(batch)

        def near(batch: Batch) -> Tensor:
            return options.gamma * model.loss(batch).total + options.alpha * distance(batch)

        for epoch in range(max(options.epochs, options.max_epochs)):
            if epoch < options.max_epochs:
                batches = forget.epoch(options.forget_batch_size)
                loss = descend(model, batches, away, optimiser, recorder)
                recorder.epoch(model, {"loss/max": loss})
            if epoch < options.epochs:
                batches = retain.epoch(problem.batch_size, options.retain_batches)
                loss = descend(model, batches, near, optimiser, recorder)
                recorder.epoch(model, {"loss/min": loss})
        return UnlearnResult(model)

    def _distance(
        self, model: Recommender, pool: Tensor, generator: torch.Generator
    ) -> Callable[[Batch], Tensor]:
        """T^2 KL(teacher || student), the mean over a batch; the teacher is ``model`` as it is now."""
        options, teacher = self.options, frozen(model)

        def distance(batch: Batch) -> Tensor:
            candidates = sample_items(pool, options.candidates, generator)
            student = score_lists(Embeddings(*model.embeddings()), batch, candidates)
            with torch.no_grad():
                lists = score_lists(teacher, batch, candidates)
            kl = divergence(lists, student, options.temperature * spread(lists)).mean()
            return options.temperature**2 * kl

        return distance

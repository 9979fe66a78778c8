"""Bad teacher: forgotten pairs are taught by a network that knows nothing, the rest by the original.

Chundawat, Tarun, Mandal, Kankanhalli, "Can Bad Teaching Induce Forgetting?", AAAI 2023. On a mixture of
forget set and a sample of the retain set, with T_g the original and T_b an untrained network:

    minimise  mean  KL( l * T_b + (1 - l) * T_g  ||  student ),   l = 1 on forgotten pairs, else 0

The distribution of a pair is the softmax of its user's scores for the item and for sampled items
(``unlearning.distillation``), each teacher's in units of its own spread: a teacher of small scores would
only flatten a ranking, not undo it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from datasets.sampling import TripleSampler
from models.base import Recommender
from models.descent import descend
from models.optimiser import adam
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult, trainable
from unlearning.distillation import (
    Embeddings,
    divergence,
    frozen,
    sample_items,
    score_lists,
    spread,
    untrained,
)
from unlearning.options import MethodOptions
from unlearning.passes import MarkedBatch, mixed, whole_pass

_FORGOTTEN = 1
"""Position of the forget set among the sources of a pass."""


@dataclass(frozen=True)
class BadTeacherOptions(MethodOptions):
    """Published values are those of image classifiers."""

    epochs: Annotated[int, Field(ge=0)] = 10
    """Passes over forget set and retain sample. Published: 10; 1 in SSD's run of it."""

    learning_rate: Annotated[float, Field(gt=0)] | None = 0.02
    """Of its own fresh Adam; null means the backbone's. Published: .01; 1e-4 in SSD's run of it."""

    retain_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Share of the retain set in a pass, drawn anew for each. Published: 30 %."""

    temperature: Annotated[float, Field(gt=0)] = 0.3
    """In units of the spread of a teacher's list. Published: 1, of plain logits."""

    candidates: Annotated[int, Field(ge=1)] = 100
    """Sampled items of a score list, drawn anew for each batch. Ours."""


class BadTeacher(UnlearningMethod):
    """Distillation from two teachers."""

    Options = BadTeacherOptions
    options: BadTeacherOptions

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Train ``original`` in place; both teachers see the graph it is bound to."""
        options, model = self.options, original
        if not options.epochs:
            return UnlearnResult(model)
        good, bad = frozen(model), untrained(model, problem.generator.initial_seed())
        optimiser = adam(trainable(model), options.learning_rate or problem.learning_rate)
        retain, forget = problem.retain_sampler(), problem.forget_sampler()

        def objective(batch: MarkedBatch) -> Tensor:
            candidates = sample_items(retain.candidates, options.candidates, problem.generator)
            lists = [score_lists(teacher, batch.triples, candidates) for teacher in (good, bad)]
            right, wrong = (scores / spread(scores) for scores in lists)
            taught = torch.where((batch.source == _FORGOTTEN)[:, None], wrong, right)
            student = score_lists(Embeddings(*model.embeddings()), batch.triples, candidates)
            return divergence(taught, student / spread(lists[0]), options.temperature).mean()

        for _ in range(options.epochs):
            loss = descend(model, self._pass(retain, forget, problem), objective, optimiser, recorder)
            recorder.epoch(model, {"loss/teaching": loss})
        return UnlearnResult(model)

    def _pass(self, retain: TripleSampler, forget: TripleSampler, problem: Problem) -> Iterator[MarkedBatch]:
        sample = next(iter(retain.epoch(max(1, round(self.options.retain_share * len(retain))), limit=1)))
        return mixed([sample, whole_pass(forget)], problem.batch_size, problem.generator)

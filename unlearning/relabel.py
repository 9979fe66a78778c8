"""Relabel: train on with the forgotten pairs' labels made wrong.

The practical form of amnesiac unlearning (Graves, Nagisetty, Ganesh, AAAI 2021) that later work runs
(SSD, Foster et al., AAAI 2024): instead of taking logged updates back, give the forget set wrong
targets and train on them together with the retain set. For BPR a label is which item of a triple is
preferred; with (u, i) forgotten and j, j' items that u never touched:

    exchanged   (u, j > i)    the forgotten pair becomes a negative
    random      (u, j > j')   the forgotten item gives way to a random one
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from datasets.sampling import Batch, TripleSampler
from models.base import Recommender
from models.descent import descend
from models.optimiser import adam
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult, trainable
from unlearning.options import MethodOptions
from unlearning.passes import MarkedBatch, mixed, whole_pass


@dataclass(frozen=True)
class RelabelOptions(MethodOptions):
    """Published values are those of image classifiers."""

    epochs: Annotated[int, Field(ge=0)] = 3
    """Passes over retain set and relabelled forget set together. Published: 3 (SSD), 5 (ERASURE)."""

    label: Literal["exchanged", "random"] = "exchanged"
    """What a forgotten pair becomes. ``random`` is the nearest to the classifier's random wrong label,
    but says nothing about the forgotten item. Ours."""

    repeats: Annotated[int, Field(ge=1)] = 1
    """How often a pass holds each forgotten pair, with fresh items each time. Published: once."""

    learning_rate: Annotated[float, Field(gt=0)] | None = 0.005
    """Of its own fresh Adam; null means the backbone's. Published: 1e-4 (SSD)."""


class Relabel(UnlearningMethod):
    """Ordinary training on wrong labels for what is to be forgotten."""

    Options = RelabelOptions
    options: RelabelOptions

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Train ``original`` in place on the backbone's whole loss."""
        options, model = self.options, original
        optimiser = adam(trainable(model), options.learning_rate or problem.learning_rate)
        retain, forget = problem.retain_sampler(), problem.forget_sampler()
        for _ in range(options.epochs):
            batches = self._pass(retain, forget, problem)
            loss = descend(model, batches, lambda batch: model.loss(batch.triples).total, optimiser, recorder)
            recorder.epoch(model, {"loss/relabelled": loss})
        return UnlearnResult(model)

    def _pass(self, retain: TripleSampler, forget: TripleSampler, problem: Problem) -> Iterator[MarkedBatch]:
        wrong = [
            relabelled(whole_pass(forget), self.options.label, forget) for _ in range(self.options.repeats)
        ]
        return mixed([whole_pass(retain), *wrong], problem.batch_size, problem.generator)


def relabelled(batch: Batch, label: Literal["exchanged", "random"], forget: TripleSampler) -> Batch:
    """Forgotten triples with a wrong preference; ``forget`` draws items that the user never touched."""
    other = batch.positives if label == "exchanged" else forget.negatives(batch.users)
    return Batch(batch.users, positives=batch.negatives, negatives=other)

"""MMRecUn: reverse BPR on the forget set, ordinary training on the retain set.

Sinha, Mandal, Kankanhalli, "Multi-Modal Recommendation Unlearning for Legal, Licensing, and Modality
Constraints", AAAI 2025 (arXiv 2405.15328), as restated by TRU (arXiv 2604.02183, Eq. 2). Per epoch,
on all parameters alike:

    theta <- theta + eta * alpha       * grad L(forget set)      reverse
    theta <- theta - eta * (1 - alpha) * grad L(retain set)      repair

What the papers leave open is an option; docs/methods/mmrecun.md says which reading is the default.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from datasets.sampling import Batch, TripleSampler
from models.base import Recommender
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult, trainable
from unlearning.options import ReverseRepairOptions
from unlearning.reverse_repair import (
    Group,
    Repair,
    ReverseOptimiser,
    ReversePhase,
    ReverseRate,
    Term,
    base_objective,
    check_options,
    make_repair,
    reading,
    reduced,
    reverses,
)


@dataclass(frozen=True)
class MMRecUnOptions(ReverseRepairOptions):
    """The knobs of the reverse-repair protocol (``ReverseRepairOptions``), and:"""

    schedule: Literal["alternate", "mixed"] = "alternate"
    """``alternate``: all forget batches, then the retain batches, each with its own optimiser (as TRU
    restates it). ``mixed``: per retain batch one Adam step at ``repair_lr`` on alpha * reverse +
    (1 - alpha) * repair, both batch means; ``optimiser``, the reverse rates and ``reduction`` have no
    effect then. Published: unknown."""

    optimiser: Literal["sgd", "adam"] = "sgd"
    """Of the reverse phase. ``sgd`` is the printed equation. ``adam`` (fresh in every epoch) is the
    optimiser that TRU's setup names; it blows the tiny gradients of bystanders up to full steps, so
    that utility goes before anything is forgotten. The default is ours."""


class MMRecUn(UnlearningMethod):
    """Reverse-repair on the whole network."""

    Options = MMRecUnOptions
    options: MMRecUnOptions

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` where options contradict each other; every backbone is accepted."""
        check_options(self.options)

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Unlearn in place; ``notes`` says which reading of the papers ran."""
        options = self.options
        if options.schedule == "mixed" and reverses(options, problem):
            self._mixed(original, problem, recorder)
        else:
            self._alternate(original, problem, recorder)
        notes = {"reading": reading(options, schedule=options.schedule, optimiser=options.optimiser)}
        return UnlearnResult(original, notes=notes)

    def _alternate(self, model: Recommender, problem: Problem, recorder: Recorder) -> None:
        options, rate = self.options, 0.0
        repair = make_repair(model, problem, options)
        forget = problem.forget_sampler() if reverses(options, problem) else None
        if forget is not None:
            everything = [Group(trainable(model))]
            rate = ReverseRate(model, options, self._optimiser, problem, recorder).of(everything)
        for _ in range(options.epochs):
            losses = {}
            if forget is not None:
                losses["loss/reverse"] = self._reverse(model, forget, rate, problem, recorder)
            if options.alpha < 1:
                losses["loss/repair"] = repair.epoch(recorder)
            recorder.epoch(model, losses)

    @property
    def _optimiser(self) -> ReverseOptimiser:
        return "sgd" if self.options.optimiser == "sgd" else "adam_lr"

    def _reverse(
        self, model: Recommender, forget: TripleSampler, rate: float, problem: Problem, recorder: Recorder
    ) -> float:
        options, parameters = self.options, trainable(model)
        model.train()
        base = Term(lambda batch: reduced(base_objective(model, options, batch), options, batch), parameters)
        phase = ReversePhase([Group(parameters)], self._optimiser, rate, options.alpha)
        return phase.run([base], forget.epoch(problem.batch_size), recorder)[0]

    def _mixed(self, model: Recommender, problem: Problem, recorder: Recorder) -> None:
        options = self.options
        repair = Repair(model, problem, options.repair_lr or problem.learning_rate, options.repair_batches)
        forget = _cycle(problem.forget_sampler(), problem.batch_size)

        def objective(retained: Batch) -> Tensor:
            forgotten = next(forget)
            recorder.examples(forgotten.users.numel(), steps=0)  # one gradient with the retain batch
            reverse = base_objective(model, options, forgotten)
            return options.alpha * reverse + (1 - options.alpha) * model.loss(retained).total

        for _ in range(options.epochs):
            recorder.epoch(model, {"loss/mixed": repair.epoch(recorder, objective)})


def _cycle(sampler: TripleSampler, batch_size: int) -> Iterator[Batch]:
    """Passes over the forget set without end."""
    while True:
        yield from sampler.epoch(batch_size)

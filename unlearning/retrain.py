"""Retrain: the gold model, trained from a fresh initialisation on the retain set alone.

Exact by construction, and the denominator of every speed-up: its cost is the recorded training
time, not the time to load it.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.base import Recommender
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult
from unlearning.options import MethodOptions


@dataclass(frozen=True)
class RetrainOptions(MethodOptions):
    """The training schedule is the backbone's; nothing is left to choose."""


class Retrain(UnlearningMethod):
    """Fetches the gold model."""

    Options = RetrainOptions
    needs = frozenset()

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """The gold model and what its training cost; ``original`` is not looked at."""
        gold = problem.gold()
        recorder.examples(gold.examples, gold.steps)
        return UnlearnResult(gold.model, online_seconds=gold.train_seconds)

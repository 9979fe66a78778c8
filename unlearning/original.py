"""Original: the trained model, untouched. The worst forgetter and the reference for utility.

Its graph stays whole by default; ``method.graph_at_evaluation=retain`` shows what removing the edges
at inference alone would do (the reading that TRU's item-level Original rows suggest).
"""

from __future__ import annotations

from dataclasses import dataclass

from models.base import Recommender
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult
from unlearning.options import GraphChoice, MethodOptions


@dataclass(frozen=True)
class OriginalOptions(MethodOptions):
    """Nothing was deleted yet, so both graphs are the full one."""

    graph_at_unlearning: GraphChoice = "full"
    graph_at_evaluation: GraphChoice = "full"


class Original(UnlearningMethod):
    """Returns the model as it came."""

    Options = OriginalOptions
    needs = frozenset()

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Nothing is done."""
        return UnlearnResult(original, online_seconds=0.0)

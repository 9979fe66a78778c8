"""Graph-only removal ("unlink to unlearn"): the forgotten edges go, the weights stay.

A control without training. On backbones without a graph it equals Original.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.base import Recommender
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult
from unlearning.options import MethodOptions


@dataclass(frozen=True)
class GraphOnlyOptions(MethodOptions):
    """The graph choice is the method: ``retain`` removes the forgotten edges."""


class GraphOnly(UnlearningMethod):
    """Returns the weights as they came, on the graph of the retain set."""

    Options = GraphOnlyOptions
    needs = frozenset()

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Nothing more: ``original`` is already bound to the graph that the options name."""
        return UnlearnResult(original)

"""Exact: takes the request out of a backbone in closed form, as if it had never been there.

The weights that are left are those of a fit on the retain set, to rounding (``models.closed_form``): for EASE
by updates of an inverse, for ItemKNN by patched counts. docs/methods/exact.md.
"""

from __future__ import annotations

from datasets.errors import InputError
from models.base import Recommender
from models.closed_form import ClosedForm
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult
from unlearning.options import MethodOptions


class Exact(UnlearningMethod):
    """Removal from a closed form."""

    Options = MethodOptions
    needs = frozenset()

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` for a backbone that is trained."""
        if not isinstance(model, ClosedForm):
            raise InputError(
                f"method=exact takes data out of a closed form, and {type(model).__name__} is trained: "
                "choose backbone=ease, backbone=itemknn or another method."
            )

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Remove in place."""
        assert isinstance(original, ClosedForm)
        touched = original.forget(problem.full, problem.retain)
        recorder.epoch(original)
        return UnlearnResult(original, notes={"touched_users": touched})

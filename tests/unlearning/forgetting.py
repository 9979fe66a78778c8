"""Two figures that behaviour tests of the methods hold against the untouched original."""

from __future__ import annotations

import torch

from models.base import Recommender
from tests.unlearning.cells import forget_recall
from unlearning.base import Problem
from unlearning.passes import pair_losses, whole_pass
from unlearning.stopping import validation_recall


@torch.no_grad()
def forget_loss(model: Recommender, task: Problem) -> float:
    """Mean ranking loss of the forgotten pairs, against the same negatives in every call."""
    generator = task.generator.get_state()
    task.generator.manual_seed(7)
    batch = whole_pass(task.forget_sampler())
    task.generator.set_state(generator)
    model.eval()
    return float(pair_losses(model, batch).mean())


def assert_forgets(model: Recommender, original: Recommender, task: Problem) -> None:
    """Forgotten pairs lose margin; those of users who leave also rank lower than before."""
    assert forget_loss(model, task) > 1.2 * forget_loss(original, task)
    if task.request.regime == "user":
        assert forget_recall(model, task) < forget_recall(original, task)


def assert_keeps(model: Recommender, original: Recommender, task: Problem, share: float = 0.7) -> None:
    """Validation recall@5 of those who stay is at least ``share`` of what it was.

    Not in the interaction regime: the tiny users' forgotten and validation pairs are of one taste, so
    what takes the first away takes the second.
    """
    if task.request.regime == "interaction":
        return
    assert validation_recall(model, task, k=5) > share * validation_recall(original, task, k=5)

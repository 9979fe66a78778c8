"""A backbone whose margins are linear in its one weight: its optima are known, so a step has a sign."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms, Recommender, Side
from tests.unlearning.cells import problem
from unlearning.base import Problem
from unlearning.second_order.objective import MarginLoss, margins
from unlearning.second_order.triples import FixedTriples, fixed_triples

WIDTH = 20
RIDGE = MarginLoss(value=lambda x: (x - 1).square() / 2, bend=torch.ones_like)
"""Least squares with the target 1."""


class LinearBackbone(Recommender):
    """Scores <w * p_u, q_i> with fixed p and q; with ``spread`` p_u grows with the user's training pairs."""

    def __init__(self, data: InteractionData, spread: float = 0.0) -> None:
        super().__init__(data, None)
        torch.manual_seed(0)
        self._users, self._items = torch.randn(data.num_users, WIDTH), torch.randn(data.num_items, WIDTH)
        self.spread = spread
        self.weight = nn.Parameter(torch.zeros(WIDTH))
        self.bind(data)

    def bind(self, data: InteractionData) -> None:
        degrees = torch.bincount(data.train[0], minlength=self.num_users)
        self._size = 1 + self.spread * degrees[:, None]

    def embeddings(self) -> tuple[Tensor, Tensor]:
        return self.weight * self._users * self._size, self._items

    def loss(self, batch: Batch) -> LossTerms:
        return LossTerms(-F.logsigmoid(margins(self, batch)).mean(), self.weight.new_zeros(()))

    def id_tables(self) -> dict[Side, nn.Parameter]:
        return {}

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        return {"shared": {"head": [self.weight]}}


def known_triples(task: Problem) -> FixedTriples:
    """The triples that a method will draw on the task, whose generator is left as it was."""
    state = task.generator.get_state()
    triples = fixed_triples(task)
    task.generator.set_state(state)
    return triples


def features(model: LinearBackbone, triples: Batch) -> Tensor:
    """The margins' gradients: [B, WIDTH]."""
    gap = model._items[triples.positives] - model._items[triples.negatives]
    return (model._users * model._size)[triples.users] * gap


def optimum(x: Tensor, n: int, damping: float, loss: MarginLoss) -> Tensor:
    """argmin of (1/n) sum l(x_p . w) + damping / 2 |w|^2, by Newton's method in double precision."""
    x, w = x.double(), torch.zeros(WIDTH, dtype=torch.float64)
    for _ in range(50):
        with torch.enable_grad():
            margin = (x @ w).requires_grad_()
            (slope,) = torch.autograd.grad(loss.value(margin).sum(), margin)
        gradient = x.t() @ slope / n + damping * w
        hessian = x.t() @ (loss.bend(margin.detach())[:, None] * x) / n + damping * torch.eye(WIDTH)
        w = w - torch.linalg.solve(hessian.double(), gradient)
    return w.float()


def linear_problem() -> Problem:
    """The tiny task of single pairs, with a fresh generator."""
    return dataclasses.replace(problem("interaction"), generator=torch.Generator().manual_seed(5))

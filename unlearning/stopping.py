"""Stopping rules: validation recall of the users who stay, and weights to go back to."""

from __future__ import annotations

import torch

from datasets.interactions import InteractionData
from datasets.pairs import PairIndex
from models.base import Recommender
from unlearning.base import Problem, trainable

_CHUNK_SCORES = 4_000_000
"""Scores (users x items) held in memory at once: 16 MB."""


class ValidationGuard:
    """Keeps the last weights whose validation recall@20 was good enough.

    Looks at validation pairs that are left after the request (``problem.retain.valid``), so at users
    and items who stay, with their retained training pairs masked. Never at test pairs.

    Args:
        tolerance: largest relative loss of recall, 0.02 for two per cent.
    """

    def __init__(self, model: Recommender, problem: Problem, tolerance: float) -> None:
        self._problem = problem
        self._floor = (1 - tolerance) * validation_recall(model, problem)
        self._keep(model)

    def holds(self, model: Recommender) -> bool:
        """Whether recall is above the floor; if so the weights are kept, else the kept ones put back."""
        if validation_recall(model, self._problem) < self._floor:
            with torch.no_grad():
                for parameter, value in zip(trainable(model), self._weights, strict=True):
                    parameter.copy_(value)
            model.start_epoch()
            return False
        self._keep(model)
        return True

    def _keep(self, model: Recommender) -> None:
        self._weights = [parameter.detach().clone() for parameter in trainable(model)]


def validation_recall(model: Recommender, problem: Problem, k: int = 20) -> float:
    """Mean recall@k on the validation pairs of those who stay; the model is left in its former mode."""
    return recall_on_validation(model, problem.retain, k)


@torch.no_grad()
def recall_on_validation(model: Recommender, data: InteractionData, k: int = 20) -> float:
    """Mean recall@k on ``data.valid``, the pairs of ``data.train`` masked; the model keeps its mode."""
    was_training = model.training
    model.eval()
    scorer = model.scorer()
    known, wanted = (PairIndex(pairs, data.num_users, data.num_items) for pairs in (data.train, data.valid))
    total = torch.zeros((), dtype=torch.float64, device=data.valid.device)
    users = wanted.counts.nonzero().squeeze(1)
    for chunk in users.split(max(1, _CHUNK_SCORES // data.num_items)):
        scores = scorer(chunk)
        scores[known.rows(chunk)] = -torch.inf
        targets = torch.zeros_like(scores, dtype=torch.bool)
        targets[wanted.rows(chunk)] = True
        hits = targets.gather(1, scores.topk(min(k, data.num_items), dim=1).indices).sum(dim=1)
        total += (hits.double() / wanted.counts[chunk]).sum()
    model.train(was_training)
    return float(total / max(len(users), 1))

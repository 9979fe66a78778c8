"""Relearn time: how soon does the forget set come back when it is trained on again?

A private copy of the model is trained on the forget pairs alone, with the optimiser, learning rate and
batch size of the cell's training, until its forget recall@20 is back at a given share of the original's
(ERASURE's target: 95 %). What a model still holds comes back sooner: gold's time is what learning anew
takes, and a shorter one is memory.

On large data gold may never get there: the forget set alone teaches less than all data did. It then
stands at the cap, which is what to be held against.

Every copy, the original's too, is bound to the graph of the retain set: the time is about weights, and
with the forgotten edges put back a graph backbone would recommend along them without having learned.
"""

from __future__ import annotations

import copy
from functools import cached_property

import torch
from torch import Tensor

from bench.audits.base import Audit, AuditContext, Figures, MemoryClaim
from bench.machine.seeding import derive, generator, seed_everything
from bench.measure.evaluate import HEADLINE_K, evaluate_split, evaluating
from bench.train.loop import train_epoch
from datasets.pairs import PairIndex
from datasets.sampling import TripleSampler
from models.base import Recommender
from models.optimiser import adam

SHARE = 0.95
"""Of the original's forget recall@20, on its own graph."""
MOST_PASSES = 40
"""Passes over the forget set after which a model counts as not having relearned."""
BOOTSTRAPS = 200
RECALL = f"recall_at_{HEADLINE_K}"


class Relearn(Audit):
    """Passes over the forget set until forget recall is back."""

    name = "relearn"
    memory = MemoryClaim("passes", more_is="lower")

    def __init__(self, context: AuditContext) -> None:
        super().__init__(context)
        full, retain, request = context.full, context.retain, context.request
        self._forget = PairIndex(request.forget, full.num_users, full.num_items)
        self._known = PairIndex(retain.train, full.num_users, full.num_items)
        self._weights = _resampled(
            int((self._forget.counts > 0).sum()), derive(context.seed, "relearn users")
        )

    def figures(self, model: Recommender) -> Figures:
        """``passes`` (0: never lost) with a 95 % interval from resampled users, ``examples``, ``reached``.

        ``reached`` is 0 where the model ran into the cap, ``passes`` then being the cap. ``most_regained``:
        the highest forget recall on the way, as a share of the original's. Array: ``curve``, forget
        recall@20 before the first pass and after each.
        """
        first, curve = self._first_passes(model)
        low, high = torch.quantile(
            first[1:].double(), torch.tensor([0.025, 0.975], dtype=torch.double)
        ).tolist()
        passes = int(first[0].clamp(max=MOST_PASSES))
        return {
            "passes": passes,
            "passes_low": min(low, MOST_PASSES),
            "passes_high": min(high, MOST_PASSES),
            "examples": passes * self.context.request.forget.shape[1],
            "reached": float(first[0] <= MOST_PASSES),
            "most_regained": SHARE * max(curve) / max(float(self._target[0]), 1e-12),
            "curve": torch.tensor(curve),
        }

    def _first_passes(self, model: Recommender) -> tuple[Tensor, list[float]]:
        """First pass that reaches the target, by resample [1 + B] (row 0: the users as they are); the curve.

        ``MOST_PASSES + 1`` stands for never.
        """
        context = self.context
        own = copy.deepcopy(model)
        own.bind(context.retain)
        seed_everything(context.seed, "relearn")
        sampler = TripleSampler(
            context.request.forget,
            context.full.train,
            context.full.num_items,
            generator(context.seed, "relearn", context.full.train.device),
        )
        optimiser = adam((p for p in own.parameters() if p.requires_grad), context.train.learning_rate)
        first = torch.full((len(self._weights),), MOST_PASSES + 1)
        curve: list[float] = []
        for passed in range(MOST_PASSES + 1):
            recall = self._recall(own)
            curve.append(float(recall.mean()))
            first[(self._weights @ recall >= self._target) & (first > passed)] = passed
            if bool((first <= passed).all()) or passed == MOST_PASSES:
                break
            with torch.enable_grad():
                train_epoch(own, sampler, optimiser, context.train.batch_size)
        return first, curve

    @cached_property
    def _target(self) -> Tensor:
        with evaluating(self.context.references["original"]) as original:
            return SHARE * (self._weights @ self._recall(original))

    def _recall(self, model: Recommender) -> Tensor:
        """Forget recall@20 by user with a forgotten pair [U], retained training pairs masked."""
        with evaluating(model):
            result = evaluate_split(
                model.scorer(), self._forget, self._known, self.context.chunk_scores, (HEADLINE_K,)
            )
        return result.values[RECALL].cpu().double()


def _resampled(users: int, seed: int) -> Tensor:
    """Weights [1 + B, users] of means: row 0 the plain mean, the others of users drawn with replacement."""
    draws = torch.randint(users, (BOOTSTRAPS, users), generator=torch.Generator().manual_seed(seed))
    counts = torch.zeros(BOOTSTRAPS, users, dtype=torch.double)
    counts.scatter_add_(1, draws, torch.ones_like(draws, dtype=torch.double))
    return torch.cat([torch.ones(1, users, dtype=torch.double), counts]) / users

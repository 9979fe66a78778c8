"""Are the items of the forget set still pushed, and how popular are they?

Target items are the items of forgotten pairs (TRU, arXiv 2604.02183, Figure 3). Their exposure@20 (our
reading, the paper has no formula) is the share of all top-20 slots of the users who stay that they fill.
In the item regime they are the forgotten items and gold has no reason to show them. In the other regimes
most of them belong to retained users as well: little of the exposure should go, even by retraining.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.audits.base import Audit, AuditContext, Figures, MemoryClaim
from bench.audits.statistics import mean_with_interval
from bench.machine.seeding import derive
from bench.measure.evaluate import HEADLINE_K, evaluating, ranked_lists
from datasets.pairs import PairIndex
from models.base import Recommender
from models.capabilities import Capability

EXPOSURE = f"exposure_at_{HEADLINE_K}"
DECILES = 10


class Popularity(Audit):
    """Exposure of target items, by popularity, and the popularity curves of forget and retain set."""

    name = "popularity"
    memory = MemoryClaim(EXPOSURE, regime="item")
    needs: ClassVar[frozenset[Capability]] = frozenset()

    def __init__(self, context: AuditContext, options: Any = None) -> None:
        super().__init__(context, options)
        full, request, retain = context.full, context.request, context.retain
        device = full.train.device
        self._known = PairIndex(retain.train, full.num_users, full.num_items)
        everyone = torch.arange(full.num_users, device=device)
        self._users = context.judged(everyone[~torch.isin(everyone, request.users)])
        self._is_target = torch.zeros(full.num_items, dtype=torch.bool, device=device)
        self._is_target[request.forget[1]] = True
        self._counts = {
            "forget_popularity": torch.bincount(request.forget[1], minlength=full.num_items),
            "retain_popularity": torch.bincount(retain.train[1], minlength=full.num_items),
        }

    def chance(self) -> float:
        """Target items among all items."""
        return float(self._is_target.double().mean())

    def figures(self, model: Recommender) -> Figures:
        """``exposure_at_20`` with its interval over users, ``exposure_drop`` = 1 - exposure / original's.

        Arrays: ``exposure_by_decile`` [10], share of all slots by popularity of the shown item in the full
        training data (least popular tenth of the items first); ``forget_popularity`` and
        ``retain_popularity`` [num_items], training pairs per item, most popular first.
        """
        shares, by_decile = self._shown(model)
        seed = derive(self.context.seed, "popularity bootstrap")
        found: Figures = {**mean_with_interval(EXPOSURE, shares.cpu().double().numpy(), seed)}
        if self._original > 0:
            found["exposure_drop"] = 1 - float(shares.double().mean()) / self._original
        curves = {name: counts.sort(descending=True).values for name, counts in self._counts.items()}
        return {**found, **curves, "exposure_by_decile": by_decile}

    @cached_property
    def _original(self) -> float:
        with evaluating(self.context.references["original"]) as original:
            return float(self._shown(original)[0].double().mean())

    def _shown(self, model: Recommender) -> tuple[Tensor, Tensor]:
        """Share of each user's slots that target items fill [U]; share of all slots by decile [10]."""
        popularity = self._counts["forget_popularity"] + self._counts["retain_popularity"]
        decile = popularity.argsort(stable=True).argsort() * DECILES // len(popularity)
        slots = torch.zeros(DECILES, dtype=torch.double, device=popularity.device)
        shares = []
        context = self.context
        lists = ranked_lists(
            model.scorer(),
            self._users,
            self._known,
            context.full.num_items,
            HEADLINE_K,
            context.chunk_scores,
        )
        for _, items, valid in lists:
            shares.append((self._is_target[items] & valid).sum(dim=1) / valid.sum(dim=1).clamp(min=1))
            slots += torch.bincount(decile[items][valid], minlength=DECILES)
        return torch.cat(shares), slots / slots.sum()

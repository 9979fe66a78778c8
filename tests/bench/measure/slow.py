"""The yardstick the slow way: the catalogue ranked anew for each split, list and distance.

It is the oracle of ``bench.measure.one_pass``: the same figures, to the last digit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.measure.evaluate import (
    HEADLINE_K,
    SplitResult,
    evaluate_split,
    evaluating,
    ranked_lists,
    user_chunks,
)
from bench.measure.lists import likeness
from bench.measure.one_pass import js_divergence
from bench.measure.targets import Candidates, ranks_only
from datasets.interactions import InteractionData
from datasets.pairs import PairIndex
from datasets.requests import DeletionRequest
from models.base import Recommender, Scorer


class SlowMeasurement:
    """As ``bench.measure.yardstick.Measurement``, one ranking per figure."""

    def __init__(
        self,
        full: InteractionData,
        retain: InteractionData,
        request: DeletionRequest,
        chunk_scores: int,
        candidates: Candidates = "all",
    ) -> None:
        self.full, self.retain, self.request = full, retain, request
        self.chunk_scores, self.candidates = chunk_scores, candidates
        self.known = {"full": self.index(full.train), "retain": self.index(retain.train)}

    def index(self, pairs: Tensor) -> PairIndex:
        return PairIndex(pairs, self.full.num_users, self.full.num_items)

    def apply(self, model: Recommender, graph: str, gold: Recommender) -> tuple[dict[str, float], Tensor]:
        """Metrics by name, and the lists [num_users, 20] that distances are formed of."""
        with evaluating(model), evaluating(gold):
            scorers = model.scorer(), gold.scorer()
            own, others = (ranks_only(each, self.candidates, self.retain) for each in scorers)
            splits = self.splits(scorers[0], own, self.known[graph])
            metrics = {f"{s}/{name}": v for s, result in splits.items() for name, v in result.means().items()}
            lists, golds = self.lists(own), self.lists(others)
            metrics |= self.distances(lists, golds, *scorers)
            metrics[f"exposure/forgotten_items_at_{HEADLINE_K}"] = self.exposure(scorers[0], graph)
        return metrics, lists

    def splits(self, scorer: Scorer, own: Scorer, known: PairIndex) -> dict[str, SplitResult]:
        gone = set(self.request.users.tolist())
        stays = torch.tensor([user not in gone for user in range(self.full.num_users)])
        withdrawn = set(self.retain.withdrawn_items.tolist())
        reached = torch.tensor([item not in withdrawn for item in self.full.test[1].tolist()])
        forget, retained = self.index(self.request.forget), self.known["retain"]
        test = self.split(own, self.index(self.full.test[:, reached]), known)
        return {
            "valid": self.split(own, self.index(self.retain.valid), known),
            "test": test.among(stays),
            "test_all_users": test,
            "test_forgotten_users": test.among(~stays),
            "retain": self.split(own, retained, None),
            "forget": self.split(scorer, forget, retained),
            "forget_unmasked": self.split(scorer, forget, None),
        }

    def split(self, scorer: Scorer, targets: PairIndex, masked: PairIndex | None) -> SplitResult:
        return evaluate_split(scorer, targets, masked, self.chunk_scores)

    def lists(self, scorer: Scorer) -> Tensor:
        users = torch.arange(self.full.num_users)
        ranked = ranked_lists(
            scorer, users, self.known["retain"], self.full.num_items, HEADLINE_K, self.chunk_scores
        )
        return torch.cat([torch.where(valid, items, -1) for _, items, valid in ranked]).int()

    def distances(self, lists: Tensor, golds: Tensor, scorer: Scorer, gold: Scorer) -> dict[str, float]:
        kept = torch.ones(self.full.num_items, dtype=torch.bool)
        if self.candidates == "remaining":
            kept[self.retain.withdrawn_items] = False
        stays = torch.ones(self.full.num_users, dtype=torch.bool)
        stays[self.request.users] = False
        groups = {
            "gold_distance_same_seed": stays.nonzero().squeeze(1),
            "gold_distance_same_seed_touched_users": self.request.forget[0].unique(),
        }
        found = {}
        for group, users in groups.items():
            overlap, rbo = map(torch.from_numpy, likeness(lists[users].numpy(), golds[users].numpy()))
            chunks = user_chunks(users, self.full.num_items, self.chunk_scores)
            divergence = torch.cat([js_divergence(scorer(c)[:, kept], gold(c)[:, kept]) for c in chunks])
            found[f"{group}/overlap_at_{HEADLINE_K}"] = float(overlap.mean())
            found[f"{group}/rbo_at_{HEADLINE_K}"] = float(rbo.mean())
            found[f"{group}/js_divergence"] = float(divergence.double().mean())
        return found

    def exposure(self, scorer: Scorer, graph: str) -> float:
        gone, shown = set(self.request.users.tolist()), set(self.request.forget[1].tolist())
        users = torch.tensor([user for user in range(self.full.num_users) if user not in gone])
        filled = slots = 0
        for _, items, valid in ranked_lists(
            scorer, users, self.known[graph], self.full.num_items, HEADLINE_K, self.chunk_scores
        ):
            slots += int(valid.sum())
            filled += sum(item in shown for item in items[valid].tolist())
        return filled / slots

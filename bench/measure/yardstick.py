"""Everything that is measured on one model of a cell: the splits, exposure, distance to gold."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.measure.compare import distance_to_gold
from bench.measure.evaluate import HEADLINE_K, SplitResult, evaluate_split, evaluating, exposure
from datasets.interactions import InteractionData
from datasets.pairs import PairIndex
from datasets.requests import DeletionRequest
from models.base import Recommender, Scorer


@dataclass(frozen=True)
class Measured:
    """``metrics`` by MLflow name; ``per_user`` arrays by name, for tests of significance."""

    metrics: dict[str, float]
    per_user: dict[str, Tensor]


class Measurement:
    """The fixed yardstick of one deletion request: built once, applied to any model.

    Splits: ``valid``, ``test`` (users who stay; ``test_forgotten_users`` and ``test_all_users`` apart),
    ``retain`` (retained training pairs, nothing masked), ``forget`` (forgotten pairs with the retained
    training pairs masked) and ``forget_unmasked`` (nothing masked).
    """

    def __init__(
        self, full: InteractionData, retain: InteractionData, request: DeletionRequest, chunk_scores: int
    ) -> None:
        self._num_users, self._num_items = full.num_users, full.num_items
        self._chunk_scores = chunk_scores
        self._known = {"full": self._index(full.train), "retain": self._index(retain.train)}
        self._valid, self._test = self._index(retain.valid), self._index(full.test)
        self._forget = self._index(request.forget)
        self._targets = request.forget[1].unique()
        self._stays = torch.ones(full.num_users, dtype=torch.bool, device=full.train.device)
        self._stays[request.users] = False
        self._touched = request.forget[0].unique()

    def apply(self, model: Recommender, graph: str, gold: Recommender) -> Measured:
        """Measure ``model``; ``graph`` (full or retain) says which training pairs it may mask."""
        with evaluating(model), evaluating(gold):
            scorer, gold_scorer = model.scorer(), gold.scorer()
            splits = self._splits(scorer, self._known[graph])
            metrics = {
                f"{split}/{name}": value
                for split, result in splits.items()
                for name, value in result.means().items()
            }
            metrics.update(self._against_gold(scorer, gold_scorer))
            metrics[f"exposure/forgotten_items_at_{HEADLINE_K}"] = self._exposure(scorer, self._known[graph])
        return Measured(metrics, _per_user(splits))

    def trajectory_point(self, model: Recommender) -> dict[str, float]:
        """Validation and forget recall@20 on the way: what selection may see, and what is forgotten."""
        with evaluating(model):
            scorer = model.scorer()
            valid = self._split(scorer, self._valid, self._known["retain"], ks=(HEADLINE_K,))
            forget = self._split(scorer, self._forget, self._known["retain"], ks=(HEADLINE_K,))
        name = f"recall_at_{HEADLINE_K}"
        return {f"valid/{name}": valid.means().get(name, 0.0), f"forget/{name}": forget.means()[name]}

    def _splits(self, scorer: Scorer, known: PairIndex) -> dict[str, SplitResult]:
        test = self._split(scorer, self._test, known)
        return {
            "valid": self._split(scorer, self._valid, known),
            "test": test.among(self._stays),
            "test_all_users": test,
            "test_forgotten_users": test.among(~self._stays),
            "retain": self._split(scorer, self._known["retain"], None),
            "forget": self._split(scorer, self._forget, self._known["retain"]),
            "forget_unmasked": self._split(scorer, self._forget, None),
        }

    def _against_gold(self, scorer: Scorer, gold: Scorer) -> dict[str, float]:
        masked = self._known["retain"]
        everyone = torch.arange(self._num_users, device=self._stays.device)
        groups = {"gold_distance": everyone[self._stays], "gold_distance_touched_users": self._touched}
        return {
            f"{group}/{name}": value
            for group, users in groups.items()
            for name, value in distance_to_gold(scorer, gold, users, masked, self._chunk_scores).items()
        }

    def _exposure(self, scorer: Scorer, known: PairIndex) -> float:
        users = self._stays.nonzero().squeeze(1)
        return exposure(scorer, users, known, self._targets, self._chunk_scores)

    def _split(
        self, scorer: Scorer, targets: PairIndex, masked: PairIndex | None, ks: tuple[int, ...] | None = None
    ) -> SplitResult:
        options = {} if ks is None else {"ks": ks}
        return evaluate_split(scorer, targets, masked, self._chunk_scores, **options)

    def _index(self, pairs: Tensor) -> PairIndex:
        return PairIndex(pairs, self._num_users, self._num_items)


def _per_user(splits: dict[str, SplitResult]) -> dict[str, Tensor]:
    arrays: dict[str, Tensor] = {}
    for split in ("test", "forget"):
        arrays[f"{split}/users"] = splits[split].users.cpu()
        for metric in (f"recall_at_{HEADLINE_K}", f"ndcg_at_{HEADLINE_K}"):
            arrays[f"{split}/{metric}"] = splits[split].values[metric].float().cpu()
    return arrays

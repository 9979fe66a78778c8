"""Everything that is measured on one model of a cell: splits, exposure, distance to gold, stored lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.machine.seeding import derive
from bench.measure.evaluate import (
    HEADLINE_K,
    KS,
    SplitResult,
    evaluate_split,
    evaluating,
    hit_metrics,
)
from bench.measure.lists import FORGOTTEN as FORGOTTEN_USER
from bench.measure.lists import OTHER, TOUCHED, likeness
from bench.measure.one_pass import (
    FORGOTTEN,
    OF_FORGOTTEN_ITEM,
    RANKED,
    RETAINED,
    TEST,
    VALID,
    Lists,
    Marks,
    Mask,
    OnePass,
    Passed,
)
from bench.measure.targets import Candidates, pairs_of, ranks_only, reachable
from datasets.interactions import InteractionData
from datasets.pairs import PairIndex
from datasets.requests import DeletionRequest
from models.base import Recommender
from models.capabilities import Capability, reason_against

NEEDS = {
    "retain": Capability.UNMASKED,
    "forget_unmasked": Capability.UNMASKED,
    "gold_distance_same_seed/js_divergence": Capability.SCALE,
    "gold_distance_same_seed_touched_users/js_divergence": Capability.SCALE,
}
"""What a model must be able to do for the metrics with these beginnings."""


@dataclass(frozen=True)
class Measured:
    """``metrics`` by MLflow name; ``per_user`` arrays by name, for tests of significance; ``lists`` of a
    sample of users, as ``bench.measure.lists`` describes them. ``not_applicable``: beginnings of the names of
    metrics that make no sense for the model, and why."""

    metrics: dict[str, float]
    per_user: dict[str, Tensor]
    lists: dict[str, Tensor] = field(default_factory=dict)
    not_applicable: dict[str, str] = field(default_factory=dict)


class Measurement:
    """The fixed yardstick of one deletion request: built once, applied to any model.

    Splits: ``valid``, ``test`` (users who stay; ``test_forgotten_users`` and ``test_all_users`` apart),
    ``retain`` (retained training pairs, nothing masked), ``forget`` (forgotten pairs with the retained
    training pairs masked) and ``forget_unmasked`` (nothing masked). Withdrawn items are no targets of
    ``valid`` and ``test``.

    Args:
        chunk_scores: scores held in memory at once.
        candidates: what ``valid``, ``test``, ``retain``, the distances and the stored lists rank; the others
            ask whether withdrawn items are still ranked and always rank all.
        lists: how many users' lists are kept. Who they are follows from ``full.fingerprint`` alone.
        users: whom to rank for, [U]; None for everybody. Every figure is then one of these users.
        watched: items [W]; where given, the share of users who are shown one of them is measured, of those
            with a forgotten pair and of the others apart.
    """

    def __init__(
        self,
        full: InteractionData,
        retain: InteractionData,
        request: DeletionRequest,
        chunk_scores: int,
        candidates: Candidates = "all",
        lists: int = 5000,
        users: Tensor | None = None,
        watched: Tensor | None = None,
    ) -> None:
        self._num_users, self._num_items = full.num_users, full.num_items
        self._retain, self._chunk_scores, self._candidates = retain, chunk_scores, candidates
        self._all_items = candidates == "all" or not retain.withdrawn_items.numel()
        test, forget = pairs_of(full.test, users), pairs_of(request.forget, users)
        reached = reachable(test, retain)
        self._sets = {
            RETAINED: self._index(pairs_of(retain.train, users)),
            FORGOTTEN: self._index(forget),
            VALID: self._index(pairs_of(retain.valid, users)),
            TEST: self._index(reached),
        }
        everyone = torch.ones(full.num_users, dtype=torch.bool, device=full.train.device)
        ranked = everyone if users is None else torch.zeros_like(everyone).index_fill(0, users, True)
        self._stays = ranked.index_fill(0, request.users, False)
        self._touched = torch.zeros_like(everyone)
        self._touched[forget[0]] = True
        self._counts = self._target_counts(test, reached)
        self._listed = listed_users(full, lists) if users is None else users[:lists]
        self._watched = watched
        marks = Marks(self._sets, request.forget[1].unique())
        self._pass = OnePass(marks, retain.withdrawn_items, chunk_scores, users)

    def apply(self, model: Recommender, graph: str, gold: Recommender) -> Measured:
        """Measure ``model``; ``graph`` (full or retain) says which training pairs it may mask."""
        known = RETAINED | FORGOTTEN if graph == "full" else RETAINED
        own = self._all_items
        masks = {
            "retain": Mask(0, own),
            "forget_unmasked": Mask(0),
            "exposure": Mask(known),
            "forget": Mask(RETAINED),
            "test": Mask(known, own),
            "distance": Mask(RETAINED, own),
        }
        with evaluating(model), evaluating(gold):
            passed = self._pass.run(model.scorer(), gold.scorer(), list(masks.values()))
        lists = {name: passed.lists[mask] for name, mask in masks.items()}
        splits = self._splits(lists)
        metrics = {
            f"{split}/{name}": value
            for split, result in splits.items()
            for name, value in result.means().items()
        }
        metrics |= self._against_gold(lists["distance"], passed)
        metrics[f"exposure/forgotten_items_at_{HEADLINE_K}"] = self._exposure(lists["exposure"])
        if self._watched is not None:
            metrics |= self._shown(lists["forget"], self._watched)
        reasons = {name: reason_against(model, [needed]) for name, needed in NEEDS.items()}
        reasons = {name: reason for name, reason in reasons.items() if reason}
        kept = {name: value for name, value in metrics.items() if not name.startswith(tuple(reasons))}
        return Measured(kept | self._counts, _per_user(splits), self._stored(lists["distance"]), reasons)

    def trajectory_point(self, model: Recommender) -> dict[str, float]:
        """Validation and forget recall@20 on the way: what selection may see, and what is forgotten."""
        known, name = self._sets[RETAINED], f"recall_at_{HEADLINE_K}"
        with evaluating(model):
            scorer = model.scorer()
            own = ranks_only(scorer, self._candidates, self._retain)
            valid = evaluate_split(own, self._sets[VALID], known, self._chunk_scores, (HEADLINE_K,))
            forget = evaluate_split(scorer, self._sets[FORGOTTEN], known, self._chunk_scores, (HEADLINE_K,))
        found = {f"valid/{name}": valid.means().get(name, 0.0)}
        if len(forget.users):
            found[f"forget/{name}"] = forget.means()[name]
        return found

    def _splits(self, lists: Mapping[str, Lists]) -> dict[str, SplitResult]:
        test = self._split(TEST, lists["test"])
        return {
            "valid": self._split(VALID, lists["test"]),
            "test": test.among(self._stays),
            "test_all_users": test,
            "test_forgotten_users": test.among(~self._stays),
            "retain": self._split(RETAINED, lists["retain"]),
            "forget": self._split(FORGOTTEN, lists["forget"]),
            "forget_unmasked": self._split(FORGOTTEN, lists["forget_unmasked"]),
        }

    def _split(self, targets: int, lists: Lists) -> SplitResult:
        """Recall and NDCG of every user with a target, from where targets stand in the lists."""
        counts = self._sets[targets].counts
        users = counts.nonzero().squeeze(1)
        hits = (lists.marks[users] & targets) > 0
        values: dict[str, Tensor] = {}
        for k in KS:
            values[f"recall_at_{k}"], values[f"ndcg_at_{k}"] = hit_metrics(hits[:, :k], counts[users], k)
        return SplitResult(users, values)

    def _against_gold(self, own: Lists, passed: Passed) -> dict[str, float]:
        lists = own.items[:, :HEADLINE_K], passed.gold.items
        overlap, rbo = (torch.from_numpy(each) for each in likeness(*(each.cpu().numpy() for each in lists)))
        values = {
            f"overlap_at_{HEADLINE_K}": overlap,
            f"rbo_at_{HEADLINE_K}": rbo,
            "js_divergence": passed.divergence.double().cpu(),
        }
        groups = {
            "gold_distance_same_seed": self._stays,
            "gold_distance_same_seed_touched_users": self._touched,
        }
        return {
            f"{group}/{name}": float(value[users.cpu()].mean())
            for group, users in groups.items()
            for name, value in values.items()
            if users.any()
        }

    def _exposure(self, lists: Lists) -> float:
        """Share of all top-20 slots of users who stay that items of forgotten pairs fill."""
        slots = lists.marks[self._stays, :HEADLINE_K]
        filled = int(((slots & OF_FORGOTTEN_ITEM) > 0).sum())
        return filled / max(int((slots & RANKED > 0).sum()), 1)

    def _shown(self, lists: Lists, watched: Tensor) -> dict[str, float]:
        """Share of the users who are shown a watched item: of those who asked, and of the others."""
        shown = torch.isin(lists.items, watched.int())
        asked = self._touched | ~self._stays
        groups = {"requesting_users": asked, "other_users": ~asked}
        return {
            f"exposure/{group}_at_{k}": float(shown[users, :k].any(dim=1).double().mean())
            for group, users in groups.items()
            for k in (10, HEADLINE_K)
            if users.any()
        }

    def _stored(self, lists: Lists) -> dict[str, Tensor]:
        users = self._listed
        group = torch.where(self._touched[users], TOUCHED, OTHER).to(torch.int8)
        group[~self._stays[users]] = FORGOTTEN_USER
        stored = {"users": users, "items": lists.items[users, :HEADLINE_K], "group": group}
        return {name: array.cpu() for name, array in stored.items()}

    def _target_counts(self, test: Tensor, reached: Tensor) -> dict[str, float]:
        """Pairs of ``test`` that are no targets, and targets of users and items without a retained pair."""
        before, after = (pairs[:, self._stays[pairs[0]]] for pairs in (test, reached))
        known = self._retain.train
        cold_user, cold_item = (~torch.isin(after[row], known[row]) for row in (0, 1))
        lost = len(before[0].unique()) - len(after[0].unique())
        return {
            "test_withdrawn/pairs": float(before.shape[1] - after.shape[1]),
            "test_withdrawn/users_without_targets": float(lost),
            "test_cold/users": float(len(after[0, cold_user].unique())),
            "test_cold/pairs_of_users": float(cold_user.sum()),
            "test_cold/pairs_of_items": float(cold_item.sum()),
        }

    def _index(self, pairs: Tensor) -> PairIndex:
        return PairIndex(pairs, self._num_users, self._num_items)


def listed_users(data: InteractionData, count: int) -> Tensor:
    """The users [S], sorted, whose lists are stored: all, or ``count`` drawn by the data's fingerprint alone,
    so that every model of every request on these data has the same."""
    device = data.train.device
    if data.num_users <= count:
        return torch.arange(data.num_users, device=device)
    generator = torch.Generator().manual_seed(derive(0, f"lists of {data.fingerprint}"))
    drawn = torch.randperm(data.num_users, generator=generator)[:count]
    return drawn.sort().values.to(device)


def _per_user(splits: dict[str, SplitResult]) -> dict[str, Tensor]:
    arrays: dict[str, Tensor] = {}
    for split in ("test", "forget"):
        arrays[f"{split}/users"] = splits[split].users.cpu()
        for metric in (f"recall_at_{HEADLINE_K}", f"ndcg_at_{HEADLINE_K}"):
            arrays[f"{split}/{metric}"] = splits[split].values[metric].float().cpu()
    return arrays

"""Full-ranking evaluation, vectorised and chunked over users.

Recall@K: mean over users with at least one target of hits / targets. NDCG@K: binary, ideal truncated
at min(K, targets). Ties are broken by the smaller item id. Masked items are never ranked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from datasets.pairs import PairIndex
from models.base import Recommender, Scorer

KS = (10, 20, 50)
HEADLINE_K = 20


@dataclass(frozen=True)
class SplitResult:
    """Metrics of one split, per user: ``users`` [U] and ``values[name]`` [U] (name like ``recall_at_20``)."""

    users: Tensor
    values: dict[str, Tensor]

    def means(self) -> dict[str, float]:
        """Mean of each metric; empty where no user has a target."""
        if not len(self.users):
            return {}
        return {name: float(value.double().mean()) for name, value in self.values.items()}

    def among(self, keep: Tensor) -> SplitResult:
        """The part whose users are marked in ``keep``, a bool tensor [num_users]."""
        chosen = keep[self.users]
        return SplitResult(self.users[chosen], {name: value[chosen] for name, value in self.values.items()})


def user_chunks(users: Tensor, num_items: int, chunk_scores: int) -> Iterator[Tensor]:
    """Pieces of ``users`` whose score matrices hold at most ``chunk_scores`` numbers."""
    yield from users.split(max(1, chunk_scores // num_items))


def top_items(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best items per row: (scores, ids), both [B, min(k, N)], ties by smaller id.

    ``torch.topk`` leaves the order of equal scores open, and at the k-th place even the choice: rows with
    a tie are put in order, and those with a tie at the k-th place ranked again by a stable sort.
    """
    k = min(k, scores.shape[1])
    values, items = scores.topk(min(k + 1, scores.shape[1]), dim=1)
    tied = values[:, 1:] == values[:, :-1]
    cut = tied[:, k - 1 :].any(dim=1).nonzero().squeeze(1)
    within = tied[:, : k - 1].any(dim=1).nonzero().squeeze(1)
    values, items = values[:, :k], items[:, :k]
    if within.numel():
        by_id, order = items[within].sort(dim=1)
        values[within], order = values[within].gather(1, order).sort(dim=1, descending=True, stable=True)
        items[within] = by_id.gather(1, order)
    if cut.numel():
        every, order = scores[cut].sort(dim=1, descending=True, stable=True)
        values[cut], items[cut] = every[:, :k], order[:, :k]
    return values, items


@torch.no_grad()
def ranked_lists(
    scorer: Scorer, users: Tensor, masked: PairIndex | None, num_items: int, k: int, chunk_scores: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Chunks of (users [B], top-k items [B, k], validity [B, k]: False where only masked items were left)."""
    for chunk in user_chunks(users, num_items, chunk_scores):
        scores = scorer(chunk)
        if masked is not None:
            scores[masked.rows(chunk)] = -torch.inf
        values, items = top_items(scores, k)
        yield chunk, items, values > -torch.inf


@torch.no_grad()
def evaluate_split(
    scorer: Scorer,
    targets: PairIndex,
    masked: PairIndex | None,
    chunk_scores: int,
    ks: tuple[int, ...] = KS,
) -> SplitResult:
    """Recall and NDCG at each of ``ks`` for every user with a target."""
    users = targets.counts.nonzero().squeeze(1)
    parts: dict[str, list[Tensor]] = {f"{metric}_at_{k}": [] for k in ks for metric in ("recall", "ndcg")}
    for chunk, items, valid in ranked_lists(scorer, users, masked, targets.num_items, max(ks), chunk_scores):
        hits = (targets.contains(chunk[:, None], items) & valid).float()
        for k in ks:
            recall, ndcg = hit_metrics(hits[:, :k], targets.counts[chunk], k)
            parts[f"recall_at_{k}"].append(recall)
            parts[f"ndcg_at_{k}"].append(ndcg)
    empty = torch.empty(0, device=users.device)
    return SplitResult(users, {name: torch.cat(part) if part else empty for name, part in parts.items()})


def hit_metrics(hits: Tensor, num_targets: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Recall and binary NDCG from hits [B, <=k] (1.0 where the ranked item is a target)."""
    ranks = torch.arange(k, device=hits.device, dtype=torch.float64)
    discount = 1.0 / torch.log2(ranks + 2.0)
    ideal = discount.cumsum(0)[num_targets.clamp(max=k) - 1]
    recall = hits.double().sum(dim=1) / num_targets
    ndcg = (hits.double() * discount[: hits.shape[1]]).sum(dim=1) / ideal
    return recall, ndcg


class ValidationProbe:
    """Validation recall@20 of a model during training: the only figure selection may look at."""

    def __init__(
        self, train: Tensor, valid: Tensor, num_users: int, num_items: int, chunk_scores: int
    ) -> None:
        self._masked = PairIndex(train, num_users, num_items)
        self._targets = PairIndex(valid, num_users, num_items)
        self._chunk_scores = chunk_scores

    def __call__(self, model: Recommender) -> float:
        """Mean recall@20 over users with a validation pair; the model is left in its former mode."""
        with evaluating(model):
            result = evaluate_split(
                model.scorer(), self._targets, self._masked, self._chunk_scores, ks=(HEADLINE_K,)
            )
        return result.means()[f"recall_at_{HEADLINE_K}"]


@contextmanager
def evaluating(model: Recommender) -> Iterator[Recommender]:
    """The model in evaluation mode and without gradient; its former mode is restored."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        model.train(was_training)

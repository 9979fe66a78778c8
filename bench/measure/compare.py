"""Distance to gold: how far a model's behaviour is from the retrained one's.

Top-20 overlap and rank-biased overlap (Webber et al. 2010, truncated at 20 and normalised so that
equal lists give 1), and the Jensen-Shannon divergence between the users' softmax distributions over
all items (natural logarithm, summed over items, mean over users: 0 to ln 2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.measure.evaluate import HEADLINE_K, ranked_lists, user_chunks
from datasets.pairs import PairIndex
from models.base import Scorer

RBO_PERSISTENCE = 0.9


@torch.no_grad()
def distance_to_gold(
    scorer: Scorer, gold: Scorer, users: Tensor, masked: PairIndex, chunk_scores: int
) -> dict[str, float]:
    """``overlap_at_20``, ``rbo_at_20`` (1 = the same lists) and ``js_divergence`` (0 = the same scores).

    Args:
        users: LongTensor [U], whom to compare on; empty gives an empty result.
        masked: pairs neither model may rank (training pairs of the retain set).
    """
    if not len(users):
        return {}
    sums = torch.zeros(3, dtype=torch.float64)
    ours = ranked_lists(scorer, users, masked, masked.num_items, HEADLINE_K, chunk_scores)
    theirs = ranked_lists(gold, users, masked, masked.num_items, HEADLINE_K, chunk_scores)
    for (_, items, valid), (_, gold_items, gold_valid) in zip(ours, theirs, strict=True):
        shared = shared_by_depth(items, valid, gold_items, gold_valid)
        lengths = torch.maximum(valid.sum(dim=1), gold_valid.sum(dim=1)).clamp(min=1)
        sums[0] += float((shared[:, -1] / lengths).sum())
        sums[1] += float(rank_biased_overlap(shared, lengths).sum())
    for chunk in user_chunks(users, masked.num_items, chunk_scores // 4):
        sums[2] += float(js_divergence(scorer(chunk), gold(chunk)).sum())
    overlap, rbo, divergence = (sums / len(users)).tolist()
    return {f"overlap_at_{HEADLINE_K}": overlap, f"rbo_at_{HEADLINE_K}": rbo, "js_divergence": divergence}


def shared_by_depth(items: Tensor, valid: Tensor, others: Tensor, others_valid: Tensor) -> Tensor:
    """Number of items that the top d of both lists share, for d = 1..K: float64 [B, K]."""
    same = (items[:, :, None] == others[:, None, :]) & valid[:, :, None] & others_valid[:, None, :]
    # An item at ranks (a, b) is shared from depth max(a, b) on.
    depth = items.shape[1]
    rank = torch.arange(depth, device=items.device)
    deepest = torch.maximum(rank[:, None], rank[None, :]).expand_as(same)
    starts = torch.zeros(len(items), depth, dtype=torch.float64, device=items.device)
    starts.scatter_add_(1, deepest.reshape(len(items), -1), same.reshape(len(items), -1).double())
    return starts.cumsum(1)


def rank_biased_overlap(shared: Tensor, lengths: Tensor) -> Tensor:
    """RBO from ``shared_by_depth`` [B, K] of lists that rank ``lengths`` [B] items (at most K).

    The sum of p^(d-1) * shared_d / d over the sum of p^(d-1), d = 1..length.
    """
    depths = torch.arange(1, shared.shape[1] + 1, device=shared.device, dtype=torch.float64)
    weights = RBO_PERSISTENCE ** (depths - 1) * (depths <= lengths[:, None])
    return (shared / depths * weights).sum(dim=1) / weights.sum(dim=1)


def js_divergence(scores: Tensor, others: Tensor) -> Tensor:
    """Per-user Jensen-Shannon divergence between softmax(scores) and softmax(others): [B]."""
    p, q = scores.log_softmax(dim=1), others.log_softmax(dim=1)
    mixture = torch.logaddexp(p, q) - torch.log(torch.tensor(2.0, device=p.device))
    return 0.5 * ((p.exp() * (p - mixture)).sum(dim=1) + (q.exp() * (q - mixture)).sum(dim=1))

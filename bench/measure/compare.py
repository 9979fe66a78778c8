"""Distance to gold: how far a model's behaviour is from the retrained one's.

Top-20 overlap and rank-biased overlap (``bench.measure.lists``), and the Jensen-Shannon divergence between
the users' softmax distributions over all items (natural logarithm, summed over items, mean over users: 0 to
ln 2).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.measure.evaluate import HEADLINE_K, ranked_lists, user_chunks
from bench.measure.lists import likeness
from datasets.pairs import PairIndex
from models.base import Scorer


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
        overlap, rbo = likeness(padded(items, valid), padded(gold_items, gold_valid))
        sums[0] += float(overlap.sum())
        sums[1] += float(rbo.sum())
    for chunk in user_chunks(users, masked.num_items, chunk_scores // 4):
        sums[2] += float(js_divergence(scorer(chunk), gold(chunk)).sum())
    shared, biased, divergence = (sums / len(users)).tolist()
    return {f"overlap_at_{HEADLINE_K}": shared, f"rbo_at_{HEADLINE_K}": biased, "js_divergence": divergence}


def padded(items: Tensor, valid: Tensor) -> NDArray[np.int64]:
    """Ranked items [B, K] as ``bench.measure.lists`` has them: -1 where only masked items were left."""
    found: NDArray[np.int64] = items.masked_fill(~valid, -1).cpu().numpy()
    return found


def js_divergence(scores: Tensor, others: Tensor) -> Tensor:
    """Per-user Jensen-Shannon divergence between softmax(scores) and softmax(others): [B]."""
    p, q = scores.log_softmax(dim=1), others.log_softmax(dim=1)
    mixture = torch.logaddexp(p, q) - torch.log(torch.tensor(2.0, device=p.device))
    return 0.5 * ((p.exp() * (p - mixture)).sum(dim=1) + (q.exp() * (q - mixture)).sum(dim=1))

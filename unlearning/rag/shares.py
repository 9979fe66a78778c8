"""The fixed shares of the diversity strategy: a knapsack over what each category brings (CRAGRU).

    maximise sum_c hit(c, rho_c)   over shares rho_c of 5 % to 50 % in steps of 5 % that sum to 100 %

where hit(c, rho) is the hit rate at 10 of the backbone trained on a random rho of the pairs in category c.
That is a training per category and share, before any request. Hits are counted on validation pairs (the
release counts test pairs).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from datasets.interactions import InteractionData
from models.base import Recommender

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

STEP, FEWEST, MOST = 5, 1, 10
"""Per cent of a step, and how many steps a category gets at least and at most."""
DEPTH = 10


def shares_of(hits: Floats) -> Floats:
    """The best shares [categories] by dynamic programming over ``hits`` [categories, MOST], column k the hit
    rate at k + 1 steps. With fewer categories than steps allow (one, for example) the limit gives way."""
    number, total = len(hits), 100 // STEP
    if number * MOST < total or number * FEWEST > total:
        return np.full(number, 1 / number)
    best = np.full((number + 1, total + 1), -np.inf)
    best[0, 0] = 0.0
    taken = np.zeros((number + 1, total + 1), dtype=np.int64)
    for one in range(number):
        for spent in range(total + 1):
            for steps in range(FEWEST, min(MOST, spent) + 1):
                value = best[one, spent - steps] + hits[one, steps - 1]
                if value > best[one + 1, spent]:
                    best[one + 1, spent], taken[one + 1, spent] = value, steps
    shares, spent = np.zeros(number), total
    for one in range(number, 0, -1):
        shares[one - 1] = taken[one, spent] * STEP / 100
        spent -= taken[one, spent]
    return shares


def hit_table(
    data: InteractionData,
    category: Ints,
    trained: Callable[[InteractionData, str], Recommender],
    random: np.random.Generator,
) -> Floats:
    """Hit rates [categories, MOST]; 0 where a category has too little to train on.

    Args:
        trained: a backbone trained on data, by purpose.
    """
    table = np.zeros((int(category.max()) + 1, MOST))
    labels = torch.from_numpy(category).to(data.train.device)
    for one in range(len(table)):
        own = data.train[:, labels[data.train[1]] == one]
        order = torch.from_numpy(random.permutation(own.shape[1])).to(own.device)
        for steps in range(FEWEST, MOST + 1):
            kept = own[:, order[: own.shape[1] * steps * STEP // 100].sort().values]
            users = torch.isin(data.valid[0], kept[0])
            valid = data.valid[:, users & (labels[data.valid[1]] == one)]
            if kept.shape[1] and valid.shape[1]:
                part = replace(data, train=kept, valid=valid, fingerprint=f"{data.fingerprint}-{one}-{steps}")
                model = trained(part, f"hits of category {one} at {steps * STEP} %")
                table[one, steps - 1] = hit_rate(model, part)
    return table


@torch.no_grad()
def hit_rate(model: Recommender, data: InteractionData) -> float:
    """Share of the users with a validation pair who have one in their top 10, training pairs masked."""
    model.eval()
    scorer, hits = model.scorer(), []
    for user in data.valid[0].unique():
        scores = scorer(user[None])[0]
        scores[data.train[1, data.train[0] == user]] = -torch.inf
        top = scores.topk(min(DEPTH, len(scores))).indices
        hits.append(bool(torch.isin(data.valid[1, data.valid[0] == user], top).any()))
    return float(np.mean(hits))

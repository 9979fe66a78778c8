"""What of a retained history goes into a prompt (CRAGRU, arXiv 2511.05494): strategies and controls.

A history of at most M items goes in whole. Of a longer one

    preference   category c gets max(1, min(floor(M pi_c), floor(|H_c| pi_c))) items drawn at random, pi_c its
                 share of the history; repeated on what is left until there are M
    diversity    the same with fixed shares rho_c, the same for every user (``unlearning.rag.shares``)
    attention    softmax(q K^T / sqrt(d)): q the mean candidate vector, K the vectors of the history; the M
    with
                 the largest weight (ratings are all 1 in implicit data)
    average      equal shares (control)
    random       M at random (control)
    first        the first M as the data set has them (control; what the authors call no strategy)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Choice:
    """What a strategy may look at: ``history`` [H] and ``candidates`` [C] of a user, ``category`` [num_items]
    and ``vectors`` [num_items, d] of all items, ``shares`` [categories] of diversity."""

    history: Ints
    candidates: Ints
    category: Ints
    vectors: Floats
    shares: NDArray[np.float64]
    limit: int
    random: np.random.Generator


def retrieved(strategy: str, choice: Choice) -> Ints:
    """At most ``limit`` items of the history, in its order."""
    if len(choice.history) <= choice.limit:
        return choice.history
    places = STRATEGIES[strategy](choice)
    return choice.history[np.sort(places)]


def _preference(choice: Choice) -> Ints:
    counts = np.bincount(choice.category[choice.history], minlength=len(choice.shares))
    return _by_quota(choice, counts / counts.sum())


def _diversity(choice: Choice) -> Ints:
    return _by_quota(choice, choice.shares)


def _average(choice: Choice) -> Ints:
    there = np.unique(choice.category[choice.history])
    shares = np.zeros(len(choice.shares))
    shares[there] = 1.0
    return _by_quota(choice, shares / len(there), whole=True)


def _random(choice: Choice) -> Ints:
    return choice.random.permutation(len(choice.history))[: choice.limit]


def _first(choice: Choice) -> Ints:
    return np.arange(choice.limit)


def _attention(choice: Choice) -> Ints:
    query = choice.vectors[choice.candidates].mean(axis=0)
    keys = choice.vectors[choice.history]
    logits = keys @ query / np.sqrt(keys.shape[1])
    weights = np.exp(logits - logits.max())
    return np.argsort(-weights / weights.sum(), kind="stable")[: choice.limit]


def _by_quota(choice: Choice, shares: NDArray[np.float64], whole: bool = False) -> Ints:
    """Places in the history, by quotas of the categories, the largest share first.

    Args:
        shares: by category.
        whole: a quota is not cut by the size of the category times its share.
    """
    category = choice.category[choice.history]
    left, chosen = np.arange(len(category)), list[int]()
    by_share = np.argsort(-shares, kind="stable")
    while len(chosen) < choice.limit:
        need = choice.limit - len(chosen)
        for one in by_share:
            own = left[category[left] == one]
            if not len(own) or len(chosen) == choice.limit:
                continue
            most = need if whole else len(own)
            quota = max(1, min(int(need * shares[one]), int(most * shares[one])))
            quota = min(quota, choice.limit - len(chosen), len(own))
            drawn = choice.random.permutation(own)[:quota]
            chosen += drawn.tolist()
            left = np.setdiff1d(left, drawn)
    return np.array(chosen)


STRATEGIES: dict[str, Callable[[Choice], Ints]] = {
    "preference": _preference,
    "diversity": _diversity,
    "attention": _attention,
    "average": _average,
    "random": _random,
    "first": _first,
}

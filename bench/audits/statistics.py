"""What several audits compute: balanced accuracy of an attack and intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, bootstrap
from sklearn.metrics import roc_auc_score

BOOTSTRAPS = 1000
DRAWN_AT_ONCE = 1 << 20
"""Values of resamples held at once: a group may hold tens of thousands of users."""

Floats = NDArray[np.float64]


def attack_figures(members: Floats, others: Floats, seed: int) -> dict[str, float]:
    """How well probabilities of membership tell members from non-members.

    ``balanced_accuracy`` = (TPR + TNR) / 2 at the threshold .5, with a 95 % percentile bootstrap interval
    (``_low``, ``_high``; members and non-members are drawn apart), and ``auc``. A probability of exactly
    .5 counts half on either side, so that an attack which sees nothing is at chance.

    Args:
        members: the attack's probabilities for members [M].
        others: the same for non-members [N].
    """
    rates = [_above(members), 1 - _above(others)]
    low, high = _interval(rates, seed)
    truth = np.repeat([1, 0], [len(members), len(others)])
    return {
        "balanced_accuracy": float((rates[0].mean() + rates[1].mean()) / 2),
        "balanced_accuracy_low": low,
        "balanced_accuracy_high": high,
        "auc": float(roc_auc_score(truth, np.concatenate([members, others]))),
    }


def share_with_interval(name: str, hits: int, attempts: int) -> dict[str, float]:
    """``name`` = hits / attempts with Wilson's 95 % interval as ``<name>_low`` and ``<name>_high``."""
    interval = binomtest(hits, attempts).proportion_ci(method="wilson")
    return {name: hits / attempts, f"{name}_low": float(interval.low), f"{name}_high": float(interval.high)}


def mean_with_interval(name: str, values: Floats, seed: int) -> dict[str, float]:
    """The mean of ``values`` [N] with a 95 % bootstrap interval, named as in ``share_with_interval``."""
    low, high = _interval([values], seed)
    return {name: float(values.mean()), f"{name}_low": low, f"{name}_high": high}


def _above(probability: Floats) -> Floats:
    above: Floats = np.where(probability == 0.5, 0.5, (probability > 0.5) * 1.0)
    return above


def _interval(groups: list[Floats], seed: int) -> tuple[float, float]:
    """Percentile interval of the mean of the groups' means, each group resampled on its own."""
    largest = max(len(values) for values in groups)
    if min(len(values) for values in groups) < 2:  # there is nothing to resample, and SciPy says so
        mean = float(_mean_of_means(*groups, axis=0))
        return mean, mean
    interval = bootstrap(
        groups,
        _mean_of_means,
        n_resamples=BOOTSTRAPS,
        batch=max(1, DRAWN_AT_ONCE // largest),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def _mean_of_means(*groups: Floats, axis: int) -> Floats:
    means: Floats = np.mean([values.mean(axis=axis) for values in groups], axis=0)
    return means

"""Figures with intervals: of an attack, of a share over clusters of trials, of a mean.

Every interval is a 95 % interval over the units that could have been drawn otherwise (users, items, target
items), not over the pairs or trials inside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid
from scipy.stats import bootstrap, norm

RESAMPLES = 1000
BATCH = 50
"""Resamples drawn at once: bounds the memory where there are many units."""
LOW_FPR = 0.01
"""False positive rate at which an attack's true positive rate is read (Carlini et al., S&P 2022)."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Weighted = Callable[[Floats], dict[str, Floats]]
"""Figures [B] of units whose weights are the rows [B, units]."""


def with_intervals(figures: Weighted, units: int, seed: int) -> dict[str, float]:
    """``figures`` with each of ``units`` weighing 1, and percentile intervals from resampled units.

    The interval of ``<figure>`` is ``<figure>_low`` to ``<figure>_high``; a single unit has none. A unit that
    a resample draws twice weighs 2, so that whatever belongs to a unit stays together.
    """
    found = {name: float(value[0]) for name, value in figures(np.ones((1, units))).items()}
    if units < 2:
        return found

    def resampled(drawn: Ints, axis: int) -> Floats:
        weights = np.stack([np.bincount(row, minlength=units) for row in np.atleast_2d(drawn)])
        return np.stack(list(figures(weights.astype(np.float64)).values()))

    interval = bootstrap(
        (np.arange(units),),
        resampled,
        n_resamples=RESAMPLES,
        batch=BATCH,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    ends = {"low": np.atleast_1d(interval.low), "high": np.atleast_1d(interval.high)}
    sides = {f"{name}_{end}": float(ends[end][k]) for k, name in enumerate(found) for end in ends}
    return {**found, **sides}


class Roc:
    """The ROC curve of scores of positives [P] and negatives [P], pair by pair of the units ``unit`` [P]."""

    def __init__(self, positives: Floats, negatives: Floats, unit: Ints) -> None:
        scores = np.concatenate([positives, negatives])
        order = np.argsort(-scores, kind="stable")
        self._unit = np.concatenate([unit, unit])[order]
        self._positive = order < len(positives)
        # Equal scores are one step of the curve: what cannot be told apart counts half.
        self._ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)

    def points(self, weights: Floats) -> tuple[Floats, Floats]:
        """False and true positive rate from the highest score down: [B, steps + 1] for weights [B, units]."""
        weight = weights[:, self._unit]
        rates = []
        for marked in (~self._positive, self._positive):
            counts = (weight * marked).cumsum(axis=1)[:, self._ends]
            rates.append(np.pad(counts / counts[:, -1:], ((0, 0), (1, 0))))
        return rates[0], rates[1]

    def area(self, weights: Floats) -> Floats:
        """The area under the curve [B]: .5 where the scores tell nothing."""
        return area_under(*self.points(weights))


def area_under(false: Floats, true: Floats) -> Floats:
    """The area [B] under ROC curves [B, steps + 1]."""
    area: Floats = trapezoid(true, false, axis=1)
    return area


def attack_figures(members: Floats, others: Floats, unit: Ints, seed: int) -> dict[str, float]:
    """How well probabilities of membership tell members from their non-members, with intervals over units.

    ``balanced_accuracy`` = (TPR + TNR) / 2 at the threshold .5; a probability of exactly .5 counts half on
    either side, so that an attack which sees nothing is at chance. ``auc``. ``tpr_at_1pct_fpr``: the true
    positive rate where 1 % of the non-members are taken for members, linear between the steps of the curve.

    Args:
        members: the attack's probabilities for members [P].
        others: the same for the non-member of each [P].
        unit: the user or item [P] that a pair of both belongs to, 0, 1, ...; units are resampled whole.
    """
    right = (_above(members) + 1 - _above(others)) / 2
    roc = Roc(members, others, unit)

    def figures(weights: Floats) -> dict[str, Floats]:
        weight = weights[:, unit]
        false, true = roc.points(weights)
        return {
            "balanced_accuracy": weight @ right / weight.sum(axis=1),
            "auc": area_under(false, true),
            "tpr_at_1pct_fpr": _rate_at(LOW_FPR, false, true),
        }

    return with_intervals(figures, int(unit.max()) + 1, seed)


def share_with_interval(name: str, shares: Sequence[float], trials: int) -> dict[str, float]:
    """The mean of ``shares``, each of one cluster of trials, with an interval that counts clusters.

    Wilson's 95 % interval at the effective number of trials p (1 - p) / (s^2 / T) (Korn and Graubard, Survey
    Methodology 1998), where p is the mean of the T shares and s^2 their variance: where trials of a cluster
    go together they count little more than one. At p = 0 or 1 nothing is known about s^2, and the clusters
    themselves are counted.

    Args:
        trials: over all clusters, the most that can be counted.
    """
    values = np.asarray(shares, dtype=np.float64)
    mean, count = float(values.mean()), len(values)
    spread = float(values.var(ddof=1)) / count if count > 1 else 0.0
    within = mean * (1 - mean)
    number = float(count)
    if count > 1 and within > 0:
        number = float(np.clip(within / spread if spread > 0 else np.inf, 1, trials))
    low, high = _wilson(mean, number)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def mean_with_interval(name: str, values: Floats, seed: int) -> dict[str, float]:
    """The mean of ``values`` [N] with its interval over them."""
    return with_intervals(lambda weights: {name: weights @ values / weights.sum(axis=1)}, len(values), seed)


def _wilson(share: float, trials: float) -> tuple[float, float]:
    """Wilson's 95 % score interval for a number of trials that need not be whole."""
    z = float(norm.ppf(0.975))
    centre = share + z**2 / (2 * trials)
    half = z * sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def _above(probability: Floats) -> Floats:
    above: Floats = np.where(probability == 0.5, 0.5, (probability > 0.5) * 1.0)
    return above


def _rate_at(rate: float, false: Floats, true: Floats) -> Floats:
    """The true positive rate [B] at a false positive rate below 1, linear between two steps of the curve."""
    rows = np.arange(len(false))
    after = (false <= rate).sum(axis=1)
    before = after - 1
    part = (rate - false[rows, before]) / (false[rows, after] - false[rows, before])
    at: Floats = true[rows, before] + part * (true[rows, after] - true[rows, before])
    return at

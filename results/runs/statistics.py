"""Statistics of results: summaries over seeds, gaps to gold, paired tests, Holm's correction, effect sizes.

Pure functions on arrays of numbers. Sources: Student's paired t test; Wilcoxon, Biometrics Bulletin 1
(1945); Holm, Scandinavian Journal of Statistics 6 (1979); Cohen's d for paired data (d_z); the rank-
biserial correlation of Kerby, Comprehensive Psychology 3 (2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

MIN_PAIRS = 3
"""Fewest pairs for a test: with two, one degree of freedom is left and hardly anything can be found."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """Mean of ``count`` values; sample standard deviation and 95 % interval of the mean from two on."""

    count: int
    mean: float
    deviation: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Paired:
    """A paired comparison of ``count`` pairs.

    Attributes:
        difference: mean of the differences.
        p_t: two-sided p of the paired t test, about the mean.
        p_wilcoxon: two-sided p of Wilcoxon's signed-rank test; ties of zero are dropped.
        d_z: mean difference in units of the differences' standard deviation.
        rank_biserial: share of the rank sum that is positive minus the share that is negative.
    """

    count: int
    difference: float
    p_t: float
    p_wilcoxon: float
    d_z: float
    rank_biserial: float


@dataclass(frozen=True)
class Gap:
    """A difference to gold, absolute and in units of the gold-to-gold spread (None without a spread)."""

    value: float
    units: float | None


def summary(values: ArrayLike) -> Summary:
    """Mean, sample standard deviation and the t interval of the mean. Needs at least one value."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("a summary needs at least one value")
    mean = float(array.mean())
    if array.size == 1:
        return Summary(1, mean)
    deviation = float(array.std(ddof=1))
    half = _t_quantile(int(array.size) - 1) * deviation / float(np.sqrt(array.size))
    return Summary(int(array.size), mean, deviation, mean - half, mean + half)


def gold_spread(gold: Sequence[float]) -> float | None:
    """Mean absolute difference between two gold models of different seeds; None with fewer than two.

    So a gap of one unit means: as far from gold as another gold model is.
    """
    if len(gold) < 2:
        return None
    return float(np.mean([abs(first - second) for first, second in combinations(gold, 2)]))


def gap_to_gold(values: Sequence[float], gold: Sequence[float]) -> Gap:
    """Mean of ``values`` minus mean of ``gold``; units where gold's spread is known and not zero."""
    value, spread = float(np.mean(values) - np.mean(gold)), gold_spread(gold)
    return Gap(value, abs(value) / spread if spread else None)


def paired(differences: ArrayLike) -> Paired | None:
    """Test whether paired differences are centred at zero; None with fewer than ``MIN_PAIRS``."""
    array = np.asarray(differences, dtype=np.float64)
    if array.size < MIN_PAIRS:
        return None
    mean, deviation = float(array.mean()), float(array.std(ddof=1))
    if not array.any():
        return Paired(int(array.size), 0.0, 1.0, 1.0, 0.0, 0.0)
    p_t = float(stats.ttest_1samp(array, 0.0).pvalue) if deviation else 0.0
    signed = array[array != 0]
    return Paired(
        int(array.size),
        mean,
        p_t,
        float(stats.wilcoxon(signed).pvalue),
        mean / deviation if deviation else float(np.copysign(np.inf, mean)),
        _rank_biserial(signed),
    )


def closer(
    first: NDArray[np.float64], second: NDArray[np.float64], gold: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Per-pair differences whose mean is |mean gap of second| - |mean gap of first|: positive favours first.

    The signs of the two mean gaps are taken as known, so the paired tests apply to the difference of
    two absolute gaps of means, and not to a mean of absolute gaps.
    """
    sides = [np.sign((values - gold).mean()) for values in (first, second)]
    favoured: NDArray[np.float64] = sides[1] * (second - gold) - sides[0] * (first - gold)
    return favoured


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the given order."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


@cache
def _t_quantile(freedom: int) -> float:
    """Slow in scipy, and asked for thousands of times with few degrees of freedom."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))


def _rank_biserial(signed: NDArray[np.float64]) -> float:
    ranks = stats.rankdata(np.abs(signed))
    return float((ranks[signed > 0].sum() - ranks[signed < 0].sum()) / ranks.sum())

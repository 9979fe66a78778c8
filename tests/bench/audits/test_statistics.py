"""Figures and intervals: against scikit-learn and SciPy, and against what a cluster of trials is worth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score, roc_curve

from bench.audits.statistics import (
    Roc,
    attack_figures,
    mean_with_interval,
    share_with_interval,
    with_intervals,
)

ENDS = ("", "_low", "_high")


def test_a_perfect_attack_and_a_blind_one() -> None:
    ones, zeros, unit = np.ones(200), np.zeros(200), np.arange(200)
    perfect = attack_figures(ones, zeros, unit, 0)
    assert set(perfect.values()) == {1.0}
    blind = attack_figures(ones / 2, ones / 2, unit, 0)
    for end in ENDS:
        assert blind[f"balanced_accuracy{end}"] == blind[f"auc{end}"] == 0.5
        assert blind[f"tpr_at_1pct_fpr{end}"] == pytest.approx(0.01)


def test_the_figures_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    # With ties, and none at exactly .5.
    members, others = (random.normal(mean, 0.3, 3000).round(2) + 0.001 for mean in (0.7, 0.4))
    truth, scores = np.repeat([1, 0], 3000), np.concatenate([members, others])
    found = attack_figures(members, others, np.arange(3000), 0)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, scores > 0.5))
    assert found["auc"] == pytest.approx(roc_auc_score(truth, scores))
    false, true, _ = roc_curve(truth, scores, drop_intermediate=False)
    assert found["tpr_at_1pct_fpr"] == pytest.approx(np.interp(0.01, false, true), abs=1e-9)


def test_a_weighted_curve_is_that_of_repeated_units() -> None:
    random = np.random.default_rng(1)
    members, others, unit = random.normal(1, 1, 40), random.normal(0, 1, 40), np.repeat(np.arange(10), 4)
    weights = random.integers(0, 4, 10)
    truth, scores = np.repeat([1, 0], 40), np.concatenate([members, others])
    expected = roc_auc_score(truth, scores, sample_weight=np.tile(weights[unit], 2))
    assert Roc(members, others, unit).area(weights[None].astype(float))[0] == pytest.approx(expected)


def test_pairs_of_one_unit_are_resampled_together() -> None:
    """A hundred copies of each user tell no more than the user: the interval must not shrink by ten."""
    random = np.random.default_rng(2)
    members, others = random.normal(0.6, 0.3, 50), random.normal(0.4, 0.3, 50)
    once = attack_figures(members, others, np.arange(50), 0)
    copied = attack_figures(np.repeat(members, 100), np.repeat(others, 100), np.repeat(np.arange(50), 100), 0)
    for figure in ("balanced_accuracy", "auc"):
        width, same = (own[f"{figure}_high"] - own[f"{figure}_low"] for own in (once, copied))
        assert same == pytest.approx(width)


def test_intervals_hold_their_figure_and_one_unit_has_none() -> None:
    mean = mean_with_interval("x", np.arange(100.0), 0)
    assert mean["x_low"] < 49.5 == mean["x"] < mean["x_high"]
    assert mean_with_interval("x", np.ones(1), 0) == {"x": 1.0}
    two = with_intervals(lambda w: {"a": w @ np.arange(9.0) / w.sum(1), "b": w.sum(1)}, 9, 0)
    assert two["b_low"] == two["b_high"] == 9
    assert two["a_low"] < two["a_high"]


def test_a_share_over_clusters_that_vary_like_coins_is_wilsons() -> None:
    random = np.random.default_rng(3)
    shares = random.binomial(50, 0.3, 2000) / 50
    found = share_with_interval("x", list(shares), 100_000)
    exact = binomtest(round(shares.mean() * 100_000), 100_000).proportion_ci(method="wilson")
    assert found["x_high"] - found["x_low"] == pytest.approx(exact.high - exact.low, rel=0.1)


@pytest.mark.parametrize(("shares", "counted"), [([1.0] * 8, 8), ([0.0] * 8, 8), ([1.0], 1), ([0.3], 1)])
def test_without_known_spread_the_clusters_are_counted(shares: list[float], counted: int) -> None:
    found = share_with_interval("x", shares, 5000)
    if shares[0] in (0.0, 1.0):
        exact = binomtest(round(sum(shares)), counted).proportion_ci(method="wilson")
        assert (found["x_low"], found["x_high"]) == pytest.approx((exact.low, exact.high))
    assert found["x_high"] - found["x_low"] > 0.3


def test_all_or_nothing_targets_count_as_targets_and_not_as_trials() -> None:
    found = share_with_interval("x", [1.0, 0.0] * 5, 2000)
    exact = binomtest(5, 10).proportion_ci(method="wilson")
    assert found["x_high"] - found["x_low"] == pytest.approx(exact.high - exact.low, rel=0.1)


def test_clusters_that_agree_better_than_coins_count_no_more_than_their_trials() -> None:
    exact = binomtest(90, 300).proportion_ci(method="wilson")
    found = share_with_interval("x", [0.3] * 10, 300)
    assert (found["x_low"], found["x_high"]) == pytest.approx((exact.low, exact.high))

"""Intervals of audits: they hold what they should as often as they should, and repeat."""

from __future__ import annotations

import numpy as np
import pytest

from bench.audits.statistics import attack_figures, mean_with_interval

REPEATS = 200


def test_the_interval_of_a_mean_holds_the_true_one_in_95_of_100_cases() -> None:
    random = np.random.default_rng(0)
    found = [mean_with_interval("x", random.exponential(size=60), seed) for seed in range(REPEATS)]
    share = np.mean([one["x_low"] < 1.0 < one["x_high"] for one in found])
    assert 0.89 <= share <= 0.98
    widths = [one["x_high"] - one["x_low"] for one in found]
    assert np.mean(widths) == pytest.approx(2 * 1.96 / 60**0.5, rel=0.1)


def test_the_interval_of_an_attack_resamples_members_and_others_apart() -> None:
    """With .9 and .5 hits of 100 members and 25 others: half the root of the two variances' sum."""
    members, others = np.repeat([1.0, 0.0], [90, 10]), np.repeat([0.0, 1.0], [13, 12])
    found = attack_figures(members, others, seed=0)
    deviation = 0.5 * (0.9 * 0.1 / 100 + 0.52 * 0.48 / 25) ** 0.5
    width = found["balanced_accuracy_high"] - found["balanced_accuracy_low"]
    assert found["balanced_accuracy"] == pytest.approx(0.71)
    assert width == pytest.approx(2 * 1.96 * deviation, rel=0.1)


@pytest.mark.parametrize("size", [2, 50, 3000])  # the last is drawn in several batches
def test_the_same_seed_gives_the_same_interval_and_another_another(size: int) -> None:
    values = np.random.default_rng(1).random(size)
    assert mean_with_interval("x", values, 3) == mean_with_interval("x", values, 3)
    if size > 2:
        assert mean_with_interval("x", values, 3) != mean_with_interval("x", values, 4)


def test_a_single_value_is_its_own_interval() -> None:
    assert mean_with_interval("x", np.array([0.25]), 0) == {"x": 0.25, "x_low": 0.25, "x_high": 0.25}

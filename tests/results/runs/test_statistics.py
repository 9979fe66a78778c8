"""Statistics against values worked out by hand or by SciPy's own entry points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from results.runs.at import At
from results.runs.statistics import holm, pooled, summarise, summary


def test_summary_of_three_values() -> None:
    found = summary([1.0, 2.0, 3.0])
    assert (found.count, found.mean, found.deviation) == (3, 2.0, 1.0)
    half = 4.302652729911275 / np.sqrt(3)  # t quantile .975 with two degrees of freedom
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half))


def test_summary_of_one_value_has_no_deviation() -> None:
    found = summary([0.5])
    assert (found.count, found.mean, found.deviation, found.low) == (1, 0.5, None, None)
    with pytest.raises(ValueError, match="at least one"):
        summary([])


def by_at(*values: tuple[int, int, float]) -> dict[At, float]:
    return {At(request, seed): value for request, seed, value in values}


def test_spreads_over_seeds_and_over_requests_are_apart() -> None:
    found = summarise(by_at((0, 0, 1.0), (0, 1, 3.0), (1, 0, 7.0), (1, 1, 8.0), (1, 2, 9.0)))
    assert (found.count, found.requests, found.mean) == (5, 2, pytest.approx(5.6))
    # squares within: 2 of the first request (1 degree of freedom), 2 of the second (2)
    assert found.deviation == pytest.approx(np.sqrt(4 / 3))
    assert found.between == pytest.approx(np.std([2.0, 8.0], ddof=1))
    half = stats.t.ppf(0.975, 1) * found.between / np.sqrt(2)
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half))


def test_one_request_has_no_spread_over_requests() -> None:
    found = summarise(by_at((4, 0, 1.0), (4, 1, 2.0), (4, 2, 3.0)))
    assert (found.deviation, found.between, found.requests) == (1.0, None, 1)
    assert found.low == pytest.approx(2 - 4.302652729911275 / np.sqrt(3))
    only = summarise(by_at((0, 0, 1.0), (1, 0, 3.0)))
    assert (only.deviation, only.between) == (None, pytest.approx(np.sqrt(2)))


def test_pooling_needs_two_values_of_a_request() -> None:
    assert pooled([[1.0], [5.0]]) is None
    assert pooled([[1.0, 3.0], [5.0]]) == pytest.approx(np.sqrt(2))


def test_holm_steps_down() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []

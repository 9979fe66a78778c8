"""Statistics against values worked out by hand or by SciPy's own entry points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from results.runs.statistics import closer, gap_to_gold, gold_spread, holm, paired, summary


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


def test_gold_spread_is_the_mean_distance_of_pairs() -> None:
    assert gold_spread([1.0, 2.0, 4.0]) == pytest.approx((1 + 3 + 2) / 3)
    assert gold_spread([1.0]) is None


def test_gap_to_gold_in_units_of_the_spread() -> None:
    gap = gap_to_gold([5.0, 6.0], [1.0, 3.0])
    assert (gap.value, gap.units) == (3.5, 1.75)
    assert gap_to_gold([5.0], [1.0]).units is None
    assert gap_to_gold([5.0], [1.0, 1.0]).units is None


def test_paired_is_scipys() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=30), random.normal(0.4, 1, size=30)
    found = paired(first - second)
    assert found is not None
    assert found.p_t == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(first, second).pvalue)
    assert found.d_z == pytest.approx((first - second).mean() / (first - second).std(ddof=1))
    assert -1 < found.rank_biserial < 0


def test_paired_needs_three_pairs_and_survives_ties() -> None:
    assert paired([0.1, 0.2]) is None
    same = paired([0.0, 0.0, 0.0])
    assert same is not None
    assert (same.p_t, same.p_wilcoxon, same.d_z) == (1.0, 1.0, 0.0)
    shifted = paired([0.5, 0.5, 0.5])
    assert shifted is not None
    assert (shifted.p_t, shifted.rank_biserial) == (0.0, 1.0)


def test_holm_steps_down() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(("first", "second"), [(0.5, 0.9), (0.55, 0.1), (0.45, 0.9), (0.9, 0.5)])
def test_closer_has_the_difference_of_the_gaps_as_its_mean(first: float, second: float) -> None:
    random = np.random.default_rng(1)
    gold = 0.5 + random.normal(0, 0.01, 200)
    values = [centre + random.normal(0, 0.01, 200) for centre in (first, second)]
    gaps = [abs(one.mean() - gold.mean()) for one in values]
    assert closer(values[0], values[1], gold).mean() == pytest.approx(gaps[1] - gaps[0])

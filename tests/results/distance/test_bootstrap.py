"""The hierarchical bootstrap: reproducible, paired, and covering what it should in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from results.distance.bootstrap import DRAWS, LEVELS, Block, Estimate, bare, estimate, user_means

USERS, GOLDS, SEEDS, REQUESTS = range(len(LEVELS))


def gaps(own: list[float], golds: list[float]) -> Block:
    return Block((np.array(own)[:, None] - np.array(golds)[None])[None])


def test_the_estimate_is_the_mean_over_requests_and_seeds() -> None:
    found = estimate([gaps([1.0, 3.0], [0.0, 1.0]), gaps([5.0], [2.0])])
    assert found.value == pytest.approx(((1 - 0.5) + (3 - 0.5) + (5 - 2)) / 3)


def test_the_floor_leaves_out_a_gold_and_itself() -> None:
    nan = np.nan
    pairs = np.array([[[nan, 0.5, 0.7], [0.6, nan, 0.8]]])
    floor = np.array([[[nan, 0.2, 0.3], [0.2, nan, 0.4], [0.3, 0.4, nan]]])
    assert estimate([Block(pairs, floor)]).value == pytest.approx((0.6 + 0.7) / 2 - 0.3)


def test_the_same_seed_gives_the_same_draws_and_another_others() -> None:
    blocks = [gaps([1.0, 3.0], [0.0, 1.0]), gaps([5.0, 2.0], [2.0, 1.0])]
    first, again, other = estimate(blocks), estimate(blocks), estimate(blocks, seed=1)
    assert np.array_equal(first.draws, again.draws)
    assert first.interval == again.interval
    assert not np.array_equal(first.draws, other.draws)


def test_two_figures_on_the_same_cells_are_drawn_alike() -> None:
    blocks = [gaps([1.0, 3.0], [0.0, 1.0]), gaps([5.0, 2.0], [2.0, 1.0])]
    shifted = [Block(block.pairs + 7) for block in blocks]
    assert estimate(shifted).draws == pytest.approx(estimate(blocks).draws + 7)


@pytest.mark.parametrize(
    ("blocks", "over"),
    [
        ([gaps([1.0], [0.0])], ()),
        ([gaps([1.0], [0.0, 1.0])], ("gold's seeds",)),
        ([gaps([1.0, 2.0], [0.0])], ("seeds",)),
        ([gaps([1.0, 2.0], [0.0, 1.0])], ("seeds", "gold's seeds")),
        ([gaps([1.0], [0.0]), gaps([2.0], [0.0])], ("requests",)),
    ],
)
def test_a_level_with_one_member_is_not_drawn(blocks: list[Block], over: tuple[str, ...]) -> None:
    found = estimate(blocks)
    assert found.over == over
    assert (found.interval is None) == (found.p is None) == (not over)
    assert found.is_conditional == ("requests" not in over)


def test_of_seeds_alone_the_variance_is_that_of_a_mean_of_each_side() -> None:
    own, golds = [0.0, 1.0, 5.0], [0.0, 2.0, 3.0, 7.0]
    parts = estimate([gaps(own, golds)]).parts
    assert parts[SEEDS] == pytest.approx(np.var(own, ddof=1) / 3, rel=0.15)
    assert parts[GOLDS] == pytest.approx(np.var(golds, ddof=1) / 4, rel=0.15)
    assert parts[USERS] == parts[REQUESTS] == 0.0


def test_requests_that_differ_widen_the_interval_to_that_of_their_means() -> None:
    means = [0.0, 10.0, 20.0, 30.0]
    found = estimate([gaps([mean, mean], [0.0, 0.0]) for mean in means])
    assert found.interval is not None
    half = stats.t.ppf(0.975, 3) * np.std(means, ddof=1) / np.sqrt(4)
    assert (found.interval[1] - found.interval[0]) / 2 == pytest.approx(half, rel=0.1)


def test_a_gap_without_any_spread_is_certain() -> None:
    found = estimate([gaps([2.0, 2.0], [1.0, 1.0])])
    assert (found.interval, found.p) == ((1.0, 1.0), 0.0)
    assert estimate([gaps([1.0, 1.0], [1.0, 1.0])]).p == 1.0


@pytest.mark.parametrize("requests", [1, 3])
def test_intervals_cover_a_gap_of_nothing_about_as_often_as_they_say(requests: int) -> None:
    random, covered, rejected = np.random.default_rng(0), 0, 0
    for _ in range(120):
        shift = random.normal(size=requests) if requests > 1 else np.zeros(1)
        blocks = [gaps(list(random.normal(s, 1, 3)), list(random.normal(0, 1, 5))) for s in shift]
        found = estimate(blocks)
        assert found.interval is not None
        assert found.p is not None
        covered += found.interval[0] <= 0 <= found.interval[1]
        rejected += found.p < 0.05
    assert covered / 120 >= 0.87
    assert covered + rejected == 120, "test and interval agree"


def test_users_are_drawn_for_all_models_alike_and_by_request_and_number_alone() -> None:
    values = np.random.default_rng(0).normal(size=(2, 30))
    means = user_means(np.concatenate([values, values[:1] + 4]), request=3)
    assert means.shape == (1 + DRAWS, 3)
    assert means[0] == pytest.approx([values[0].mean(), values[1].mean(), values[0].mean() + 4])
    assert means[:, 2] - means[:, 0] == pytest.approx(np.full(1 + DRAWS, 4.0))
    assert np.array_equal(means[:, :2], user_means(values, request=3))
    assert not np.array_equal(means[:, :2], user_means(values, request=4))
    assert means[1:, 0].std() == pytest.approx(values[0].std() / np.sqrt(30), rel=0.15)


def test_users_add_to_the_variance() -> None:
    values = np.random.default_rng(0).normal(size=(4, 25))
    means = user_means(values, 0)
    with_users = Block(means[:, :2, None] - means[:, None, 2:], None, 25)
    found = estimate([with_users])
    assert found.over == ("seeds", "gold's seeds", "users")
    assert found.parts[USERS] == pytest.approx(
        np.var(values[:2].mean(0) - values[2:].mean(0), ddof=1) / 25, rel=0.2
    )


def test_a_bare_figure_has_no_interval() -> None:
    assert isinstance(bare(3.0), Estimate)
    assert (bare(3.0).value, bare(3.0).interval, bare(3.0).over) == (3.0, None, ())

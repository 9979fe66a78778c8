"""What of a history is retrieved, by hand-made histories."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from tests.tiny import tiny_data
from unlearning.rag.categories import categories, item_vectors
from unlearning.rag.history import RetainedHistory
from unlearning.rag.retrieval import STRATEGIES, Choice, retrieved
from unlearning.rag.shares import MOST, STEP, hit_rate, shares_of

CATEGORY = np.array([0] * 12 + [1] * 6 + [2] * 2)
"""Twenty items: 60, 30 and 10 % of a history that holds all of them."""


def choice(limit: int, seed: int = 0, history: list[int] | None = None) -> Choice:
    items = np.arange(20) if history is None else np.array(history)
    vectors = np.eye(20, dtype=np.float32)
    random = np.random.default_rng(seed)
    return Choice(items, np.array([3, 17]), CATEGORY, vectors, np.array([0.2, 0.3, 0.5]), limit, random)


@pytest.mark.parametrize(("strategy", "limit"), list(product(STRATEGIES, [1, 2, 5, 10, 19])))
def test_as_many_as_may_be_once_each_in_the_order_of_the_history(strategy: str, limit: int) -> None:
    found = retrieved(strategy, choice(limit))
    assert len(found) == limit
    assert found.tolist() == sorted(set(found.tolist()))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_history_that_fits_is_retrieved_whole(strategy: str) -> None:
    assert retrieved(strategy, choice(5, history=[9, 2, 15])).tolist() == [9, 2, 15]


def counts(strategy: str, limit: int) -> list[int]:
    return np.bincount(CATEGORY[retrieved(strategy, choice(limit))], minlength=3).tolist()


def test_preference_follows_the_shares_of_the_history() -> None:
    """First round: max(1, min(floor(10 pi), floor(|H_c| pi))) = 6, 1, 1; of the 2 that lack 1 and 1."""
    assert counts("preference", 10) == [7, 2, 1]


def test_diversity_follows_its_own_shares() -> None:
    """First round: max(1, min(floor(6 rho), floor(|H_c| rho))) = 2, 1, 1; of the 2 that lack 0, 1, 1."""
    assert counts("diversity", 6) == [2, 2, 2]


def test_average_gives_categories_the_same() -> None:
    assert counts("average", 6) == [2, 2, 2]
    assert counts("average", 10) == [4, 4, 2]


def test_first_is_the_first() -> None:
    assert retrieved("first", choice(4)).tolist() == [0, 1, 2, 3]


def test_attention_takes_what_is_nearest_to_the_candidates() -> None:
    assert {3, 17} <= set(retrieved("attention", choice(3)).tolist())
    others = replace(choice(2), candidates=np.array([5, 11]))
    assert retrieved("attention", others).tolist() == [5, 11]


def test_chance_follows_the_users_own_generator() -> None:
    same = [retrieved("random", choice(5, seed)).tolist() for seed in (0, 0, 1)]
    assert same[0] == same[1] != same[2]


def test_the_history_is_that_of_the_data_it_was_made_from() -> None:
    data = tiny_data()
    gone = data.train[:, data.train[0] != 3]
    history = RetainedHistory(replace(data, train=gone))
    for user in range(data.num_users):
        assert history.of(user).tolist() == gone[1, gone[0] == user].tolist()
    assert history.digest(3) == ""
    assert history.digest(4) == RetainedHistory(data).digest(4)
    shorter = replace(data, train=data.train[:, 1:])
    assert RetainedHistory(shorter).digest(0) != RetainedHistory(data).digest(0)


def test_categories_come_from_the_text_or_from_content() -> None:
    from datasets.item_text import ItemText

    data = tiny_data()
    paths = [("all", "even" if item % 2 == 0 else "odd", str(item)) for item in range(data.num_items)]
    written = replace(data, item_text=tuple(ItemText(categories=path) for path in paths))
    vectors = item_vectors(data, np.zeros((data.num_items, 3), dtype=np.float32))
    assert vectors.shape == (24, 14)
    by_text = categories(written, vectors, 2, 2, 0)
    assert [len(set(by_text[half::2])) for half in (0, 1)] == [1, 1]
    assert len(set(categories(written, vectors, 1, 2, 0))) == 1
    assert len(set(categories(written, vectors, 3, 2, 0))) == 24
    by_content = categories(data, vectors, 2, 2, 0)
    assert len(set(zip(by_text.tolist(), by_content.tolist(), strict=True))) == 2, "content tells the halves"


def test_content_is_unit_rows_and_nothing_for_what_was_withdrawn() -> None:
    data = tiny_data()
    features = {name: rows.index_fill(0, torch.tensor([5]), 0.0) for name, rows in data.features.items()}
    vectors = item_vectors(replace(data, features=features), np.zeros((24, 3), dtype=np.float32))
    assert not vectors[5].any()
    assert np.allclose(np.linalg.norm(vectors[6]), 2**0.5)
    given = np.ones((24, 4), dtype=np.float32)
    assert np.allclose(item_vectors(replace(data, features={}), given), 0.5)


def slow_shares(hits: np.ndarray) -> float:
    """The best value over every division of 100 %."""
    total = 100 // STEP
    options = product(range(1, MOST + 1), repeat=len(hits))
    return max(
        sum(hits[one, steps - 1] for one, steps in enumerate(own)) for own in options if sum(own) == total
    )


@pytest.mark.parametrize(("categories_", "seed"), [(2, 0), (3, 1), (4, 2)])
def test_the_knapsack_is_as_good_as_trying_everything(categories_: int, seed: int) -> None:
    hits = np.random.default_rng(seed).random((categories_, MOST))
    shares = shares_of(hits)
    assert shares.sum() == pytest.approx(1.0)
    assert ((shares >= STEP / 100 - 1e-9) & (shares <= MOST * STEP / 100 + 1e-9)).all()
    steps = np.rint(shares * 100 / STEP).astype(int)
    assert sum(hits[one, s - 1] for one, s in enumerate(steps)) == pytest.approx(slow_shares(hits))


def test_a_hit_is_a_validation_item_in_the_first_ten_that_is_no_training_item() -> None:
    from models.bpr import BPR, BPROptions

    data = tiny_data()
    model = BPR(data, BPROptions())
    scores = torch.zeros(data.num_users, data.num_items)
    scores[data.train[0], data.train[1]] = 9.0
    scores[data.valid[0], data.valid[1]] = 1.0
    scores[:20] *= -1.0
    model.scorer = lambda: lambda users: scores[users].clone()  # type: ignore[method-assign]
    assert hit_rate(model, data) == pytest.approx(0.5)

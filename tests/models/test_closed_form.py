"""Closed forms: their formulas, and removal that leaves what a new fit on the rest gives."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

from bench.planning.request import draw
from datasets.interactions import InteractionData, to_torch
from datasets.pairs import PairIndex
from datasets.request_options import RequestOptions
from datasets.requests import DeletionRequest
from datasets.synthetic import Synthetic, SyntheticOptions
from models.closed_form import ClosedForm
from models.cooccurrence import cooccurrences, dense_rows
from models.ease import EASE, EASEOptions
from models.itemknn import ItemKNN, ItemKNNOptions
from models.ridge import ridge_inverse, with_columns_emptied, with_rows_changed
from tests.tiny import tiny_data

EXACT = 1e-10
"""Largest difference of float64 weights that counts as rounding."""


@cache
def data() -> InteractionData:
    """400 users x 120 items."""
    options = SyntheticOptions(num_users=400, num_items=120, num_interactions=6_000)
    return to_torch(Synthetic("synthetic", options, None).read(), "closed")  # type: ignore[arg-type]


def request(regime: str) -> DeletionRequest:
    """200 users, or as large a part of items or pairs."""
    if regime == "user":
        return draw(RequestOptions(name="user", ratio=None, count=200), data())
    return draw(RequestOptions(name=regime, ratio=0.2), data())


def ease(fitted_on: InteractionData, **options: float) -> EASE:
    model = EASE(fitted_on, EASEOptions(**{"l2": 20.0, **options}))  # type: ignore[arg-type]
    model.fit(fitted_on)
    return model


def itemknn(fitted_on: InteractionData, **options: float) -> ItemKNN:
    model = ItemKNN(fitted_on, ItemKNNOptions(**options))  # type: ignore[arg-type]
    model.fit(fitted_on)
    return model


def dense(pairs: Tensor, source: InteractionData) -> Tensor:
    table = torch.zeros(source.num_users, source.num_items, dtype=torch.float64)
    table[pairs[0], pairs[1]] = 1.0
    return table


def test_counts_are_those_of_the_dense_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.cooccurrence.BLOCK", 37)
    table = dense(data().train, data())
    pairs = PairIndex(data().train, data().num_users, data().num_items)
    assert torch.equal(cooccurrences(pairs).double(), table.t() @ table)
    some = torch.tensor([3, 9, 4])
    assert torch.equal(cooccurrences(pairs, some).double(), table[some].t() @ table[some])
    assert torch.equal(dense_rows(pairs, some), table[some])


def test_ease_solves_its_regression() -> None:
    """Column j of W minimises ||x_j - X w||^2 + l2 ||w||^2 with w_j = 0."""
    table, weights = dense(data().train, data()), ease(data()).weights()
    for j in (0, 17, 60):
        others = torch.arange(data().num_items) != j
        left = table[:, others]
        gram = left.t() @ left + 20.0 * torch.eye(int(others.sum()), dtype=torch.float64)
        assert torch.allclose(
            weights[others, j], torch.linalg.solve(gram, left.t() @ table[:, j]), atol=1e-10
        )
        assert weights[j, j] == 0


def test_itemknn_is_the_cosine_of_the_nearest() -> None:
    table, weights = dense(data().train, data()), itemknn(data(), neighbours=7).weights()
    columns = torch.nn.functional.normalize(table, dim=0)
    cosine = (columns.t() @ columns).fill_diagonal_(0.0)
    assert torch.allclose(weights.amax(dim=1), cosine.amax(dim=1))
    assert int((weights > 0).sum(dim=1).max()) == 7
    kept = weights > 0
    assert torch.allclose(weights[kept], cosine[kept])
    for i in (0, 40):
        assert float(weights[i][kept[i]].min()) >= float(cosine[i][~kept[i]].max()) - 1e-12


@pytest.mark.parametrize("model", [ease, itemknn])
def test_scores_are_of_the_items_a_user_is_bound_to(model: object) -> None:
    made: ClosedForm = model(data())  # type: ignore[operator]
    users = torch.tensor([5, 2, 399])
    expected = dense(data().train, data())[users] @ made.weights()
    assert torch.allclose(made.scores(users), expected.float(), atol=1e-6)
    gone = request("user").apply(data())
    made.bind(gone)
    left = request("user").users[:4]
    assert not made.scores(left).any()


def test_one_user_is_one_rank_one_step() -> None:
    table = dense(data().train, data())
    inverse, row = ease(data()).inverse.data, table[7]
    towards = inverse @ row
    expected = inverse + torch.outer(towards, towards) / (1 - row @ towards)
    nothing = torch.zeros(1, data().num_items, dtype=torch.float64)
    found = with_rows_changed(inverse, row[None], nothing)
    assert float((found - expected).abs().max()) < 1e-14
    assert float((found - inverse).abs().max()) > 1e-6


def test_emptied_columns_leave_the_inverse_of_the_rest() -> None:
    table = dense(data().train, data())
    gone = torch.tensor([3, 50, 51])
    left = table.index_fill(1, gone, 0.0)
    found = with_columns_emptied(ridge_inverse(table.t() @ table, 20.0), gone, 20.0)
    assert float((found - ridge_inverse(left.t() @ left, 20.0)).abs().max()) < EXACT


@pytest.mark.parametrize("regime", ["user", "item", "interaction"])
@pytest.mark.parametrize("block", [1, 64, 1000])
def test_ease_forgets_to_rounding(regime: str, block: int) -> None:
    asked = request(regime)
    rest = asked.apply(data())
    model, gold = ease(data(), removal_block=block), ease(rest)
    distance = float((model.inverse - gold.inverse).abs().max())
    assert model.forget(data(), rest) == len(asked.forget[0].unique())
    left = float((model.inverse - gold.inverse).abs().max())
    assert left < EXACT < 1e-4 < distance
    assert float((model.weights() - gold.weights()).abs().max()) < EXACT


@pytest.mark.parametrize("regime", ["user", "item", "interaction"])
def test_itemknn_forgets_exactly(regime: str) -> None:
    rest = request(regime).apply(data())
    model, gold = itemknn(data()), itemknn(rest)
    assert not torch.equal(model.counts, gold.counts)
    model.forget(data(), rest)
    assert torch.equal(model.counts, gold.counts)
    assert torch.equal(model.weights(), gold.weights())


@pytest.mark.parametrize("model", [ease, itemknn])
def test_requests_one_after_another_end_where_their_union_ends(model: object) -> None:
    first = request("interaction").apply(data())
    second = replace(first, train=first.train[:, first.train[0] > 20])
    made: ClosedForm = model(data())  # type: ignore[operator]
    made.forget(data(), first)
    made.forget(first, second)
    assert float((made.weights() - model(second).weights()).abs().max()) < EXACT  # type: ignore[operator]


def test_the_same_scores_tie_whatever_the_way_to_them() -> None:
    """Rounding error of the algebra must not order items that nothing tells apart."""
    rest = request("user").apply(data())
    model, gold = ease(data()), ease(rest)
    model.forget(data(), rest)
    model.bind(rest)
    everyone = torch.arange(data().num_users)
    assert not torch.equal(model.weights(), gold.weights())
    same = model.scores(everyone).argsort(dim=1, stable=True) == gold.scores(everyone).argsort(
        dim=1, stable=True
    )
    assert bool(same.all())


def test_more_data_is_refused() -> None:
    model = itemknn(tiny_data())
    fewer = replace(tiny_data(), train=tiny_data().train[:, 1:])
    with pytest.raises(ValueError, match="can only forget"):
        model.forget(fewer, tiny_data())

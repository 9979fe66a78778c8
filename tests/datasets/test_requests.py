"""Properties of every deletion request, for every regime and sampler."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.planning.request import draw, regime_of
from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.item_graphs import item_graph, knn_graph
from datasets.item_text import ItemText
from datasets.request_options import RequestOptions, Sampler
from datasets.requests import DeletionRequest
from datasets.validation import DataSummary
from tests.tiny import NUM_ITEMS, NUM_USERS, tiny_data

REGIMES: tuple[str, ...] = ("user", "item", "interaction")
SAMPLERS: tuple[Sampler, ...] = ("random", "core", "edge")
CASES = list(product(REGIMES, SAMPLERS))


@pytest.fixture
def data() -> InteractionData:
    """The tiny data with uneven activity, a cold user, a cold item, item text and a stored graph."""
    full = tiny_data()
    order = torch.arange(full.train.shape[1])
    kept = (full.train[0] != 7) & (full.train[1] != 3) & ((order * 7) % 5 != full.train[0] % 5)
    return replace(
        full,
        train=full.train[:, kept],
        item_graphs={"text": knn_graph(full.features["text"], 5)},
        item_text=tuple(ItemText(title=f"item {i}") for i in range(NUM_ITEMS)),
    )


def as_set(pairs: Tensor) -> set[tuple[int, int]]:
    return set(zip(*pairs.tolist(), strict=True))


def options(regime: str, sampler: Sampler = "random", **more: Any) -> RequestOptions:
    return RequestOptions(**{"name": regime, "sampler": sampler, "ratio": 0.2, **more})


@pytest.mark.parametrize(("regime", "sampler"), CASES)
def test_forget_and_retain_partition_the_training_split(
    data: InteractionData, regime: str, sampler: Sampler
) -> None:
    request = draw(options(regime, sampler), data)
    forget, retain = as_set(request.forget), as_set(request.apply(data).train)
    assert forget
    assert forget | retain == as_set(data.train)
    assert not forget & retain


@pytest.mark.parametrize(("regime", "sampler"), CASES)
def test_counts_are_those_asked_for(data: InteractionData, regime: str, sampler: Sampler) -> None:
    eligible = {"user": 39, "item": int(data.train[1].unique().numel()), "interaction": data.train.shape[1]}
    for asked, expected in (({"count": 5}, 5), ({"ratio": 0.25}, round(0.25 * eligible[regime]))):
        request = draw(options(regime, sampler, **asked), data)
        units = {"user": request.users, "item": request.items, "interaction": request.forget[0]}
        assert len(units[regime]) == expected
        for other in {"user", "item"} - {regime}:
            assert units[other].numel() == 0


@pytest.mark.parametrize(("regime", "sampler"), CASES)
def test_the_seed_alone_decides(data: InteractionData, regime: str, sampler: Sampler) -> None:
    torch.manual_seed(1)
    first = draw(options(regime, sampler), data)
    torch.manual_seed(2)
    again = draw(options(regime, sampler), data)
    assert torch.equal(first.forget, again.forget)


@pytest.mark.parametrize("regime", REGIMES)
def test_another_seed_is_another_request(data: InteractionData, regime: str) -> None:
    drawn = [as_set(draw(options(regime, seed=seed), data).forget) for seed in range(4)]
    assert any(pairs != drawn[0] for pairs in drawn[1:])


@pytest.mark.parametrize("sampler", ["core", "edge"])
def test_the_seed_breaks_ties_of_activity(sampler: Sampler) -> None:
    """Every user of the tiny data has six pairs."""
    drawn = [draw(options("user", sampler, seed=seed), tiny_data()).users.tolist() for seed in range(4)]
    assert any(users != drawn[0] for users in drawn[1:])


@pytest.mark.parametrize("regime", ["user", "item"])
def test_named_ids_lose_every_training_pair(data: InteractionData, regime: str) -> None:
    request = draw(options(regime), data)
    row, ids = (0, request.users) if regime == "user" else (1, request.items)
    assert set(request.forget[row].tolist()) == set(ids.tolist())
    assert not torch.isin(request.apply(data).train[row], ids).any()


@pytest.mark.parametrize("regime", REGIMES)
def test_core_takes_the_most_active_and_edge_the_least(data: InteractionData, regime: str) -> None:
    row = 1 if regime == "item" else 0
    activity = torch.bincount(data.train[row])

    def extent(sampler: Sampler) -> tuple[int, int]:
        request = draw(options(regime, sampler), data)
        drawn = request.forget[0] if regime == "interaction" else (request.items if row else request.users)
        rest = request.apply(data).train[row].unique()
        return int(activity[drawn].min() - activity[rest].max()), int(
            activity[drawn].max() - activity[rest].min()
        )

    assert extent("core")[0] >= 0
    assert extent("edge")[1] <= 0


def test_cold_users_and_items_are_never_drawn(data: InteractionData) -> None:
    for seed in range(20):
        assert 7 not in draw(options("user", "edge", ratio=0.9, seed=seed), data).users
        assert 3 not in draw(options("item", "edge", count=20, seed=seed), data).items


@pytest.mark.parametrize(("regime", "sampler"), CASES)
def test_nothing_forgotten_is_left(data: InteractionData, regime: str, sampler: Sampler) -> None:
    request = draw(options(regime, sampler), data)
    rest = request.apply(data)
    assert not torch.isin(rest.valid[0], request.users).any()
    assert not torch.isin(rest.valid[1], request.items).any()
    assert rest.withdrawn_items.tolist() == request.items.tolist()
    for features in rest.features.values():
        assert not features[request.items].any()
    for modality in data.modalities:
        graph = item_graph(rest, modality, 5).to_dense()
        assert not graph[request.items].any()
        assert not graph[:, request.items].any()
    assert not rest.item_graphs["text"].to_dense()[:, request.items].any()
    assert rest.item_text is not None
    gone = request.items.tolist()
    assert [i for i, text in enumerate(rest.item_text) if not text] == gone
    assert rest.fingerprint != data.fingerprint


@pytest.mark.parametrize("regime", REGIMES)
def test_the_rest_stays_as_it_was(data: InteractionData, regime: str) -> None:
    before = {m: x.clone() for m, x in data.features.items()}
    request = draw(options(regime), data)
    rest = request.apply(data)
    assert (rest.num_users, rest.num_items) == (NUM_USERS, NUM_ITEMS)
    assert torch.equal(rest.test, data.test)
    kept = torch.ones(NUM_ITEMS, dtype=torch.bool).index_fill(0, request.items, False)
    for modality, features in rest.features.items():
        assert torch.equal(features[kept], before[modality][kept])
        assert torch.equal(data.features[modality], before[modality])
    if regime == "interaction":
        assert torch.equal(rest.valid, data.valid)
    lost = as_set(data.valid) - as_set(rest.valid)
    assert all(u in request.users.tolist() or i in request.items.tolist() for u, i in lost)


def test_requests_follow_one_another(data: InteractionData) -> None:
    first = draw(options("item", count=2), data)
    once = first.apply(data)
    second = draw(options("item", count=2, seed=9), once)
    twice = second.apply(once)
    assert not set(first.items.tolist()) & set(second.items.tolist())
    assert twice.withdrawn_items.tolist() == sorted(first.items.tolist() + second.items.tolist())


def test_fingerprints_tell_requests_apart(data: InteractionData) -> None:
    requests = [draw(options(regime, seed=seed), data) for regime in REGIMES for seed in (0, 1)]
    pairs_only = DeletionRequest("interaction", requests[0].users[:0], requests[0].items, requests[0].forget)
    assert len({r.apply(data).fingerprint for r in [*requests, pairs_only]}) == 7
    assert requests[0].apply(data).fingerprint == draw(options("user"), data).apply(data).fingerprint


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"ratio": 0.999}, "regime.ratio=0.999 covers all"),
        ({"count": 10_000}, "regime.count=10000 covers all"),
        ({"ratio": 0.0001}, "regime.ratio=0.0001 of .* selects nothing"),
        ({"ratio": None}, "regime.ratio and regime.count are both null"),
    ],
)
def test_senseless_sizes_are_refused(
    data: InteractionData, regime: str, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        draw(options(regime, **asked), data)
    summary = DataSummary(
        num_users=NUM_USERS,
        num_items=NUM_ITEMS,
        train=data.train.shape[1],
        valid=1,
        test=1,
        users_without_train=1,
        items_without_train=1,
    )
    with pytest.raises(InputError, match=message):
        regime_of(options(regime, **asked)).size(summary, None)


@pytest.mark.parametrize(("regime", "expected"), [("user", 8), ("item", 4), ("interaction", 40)])
def test_the_size_counts_the_eligible(regime: str, expected: int) -> None:
    summary = DataSummary(
        num_users=50,
        num_items=30,
        train=200,
        valid=1,
        test=1,
        users_without_train=10,
        items_without_train=10,
    )
    assert regime_of(options(regime)).size(summary, None) == expected


def test_a_request_that_leaves_no_validation_is_refused(data: InteractionData) -> None:
    with pytest.raises(InputError, match="the user request leaves no validation pair"):
        draw(options("user", "core", count=38), replace(data, valid=torch.tensor([[0, 0], [1, 2]])))


def test_the_regime_none_leaves_the_data_as_they_are(data: InteractionData) -> None:
    asked = draw(RequestOptions(name="none", ratio=None), data)
    assert asked.forget.shape == (2, 0)
    assert asked.apply(data) is data

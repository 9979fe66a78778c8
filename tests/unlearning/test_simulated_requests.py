"""Simulated requests: what they name, what they leave, and where their randomness comes from."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor

from datasets.errors import InputError
from datasets.interactions import InteractionData
from tests.tiny import tiny_data
from unlearning.simulated_requests import Kind, share_of_emptied_users, simulate

KINDS: tuple[Kind, ...] = ("interaction", "user", "item")


def drawn(kind: Kind, rate: float = 0.2, seed: int = 0, **options: Any) -> Any:
    return simulate(tiny_data(), kind, (rate, rate), torch.Generator().manual_seed(seed), **options)


def keys(pairs: Tensor, data: InteractionData) -> Tensor:
    return pairs[0] * data.num_items + pairs[1]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_forgotten_and_what_is_kept_are_the_training_pairs_apart(kind: Kind) -> None:
    data, one = tiny_data(), drawn(kind)
    forgotten, kept = keys(one.request.forget, data), keys(one.kept.train, data)
    assert not torch.isin(forgotten, kept).any()
    assert torch.equal(torch.cat([forgotten, kept]).sort().values, keys(data.train, data).sort().values)
    assert one.rate == pytest.approx(len(forgotten) / data.train.shape[1])
    side = {"user": 0, "item": 1}.get(kind)
    if side is not None:
        gone = one.request.forget[side].unique()
        assert len(gone) == round(0.2 * len(data.train[side].unique()))
        assert not torch.isin(one.kept.train[side], gone).any(), "whole users and items"
        assert not torch.isin(one.kept.valid[side], gone).any()
    else:
        assert len(forgotten) == round(0.2 * data.train.shape[1])
        assert torch.equal(one.kept.valid, data.valid)


def test_only_edges_are_simulated_and_content_stays() -> None:
    data, one = tiny_data(), drawn("item")
    assert len(one.request.items) > 0
    assert not len(one.kept.withdrawn_items)
    assert all(torch.equal(one.kept.features[m], data.features[m]) for m in data.features)


def test_emptied_users_are_those_who_keep_no_pair() -> None:
    assert drawn("user").emptied == 1.0
    assert drawn("interaction", rate=0.05).emptied == 0.0
    data, one = tiny_data(), drawn("user")
    users = one.request.forget[0].unique()
    again = torch.cat([one.kept.train, torch.tensor([[int(users[0])], [0]])], dim=1)
    kept = InteractionData(**{**vars(data), "train": again})
    assert share_of_emptied_users(one.request, kept) == pytest.approx(1 - 1 / len(users))


def test_the_generator_alone_decides() -> None:
    torch.manual_seed(0)
    first = drawn("interaction", seed=3)
    torch.manual_seed(1)
    assert torch.equal(drawn("interaction", seed=3).request.forget, first.request.forget)
    assert not torch.equal(drawn("interaction", seed=4).request.forget, first.request.forget)


def test_rates_spread_between_their_bounds_and_mixed_draws_every_kind() -> None:
    generator = torch.Generator().manual_seed(0)
    requests = [simulate(tiny_data(), "mixed", (0.1, 0.5), generator).request for _ in range(60)]
    kinds = Counter(one.regime for one in requests)
    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) > 8
    plain = [simulate(tiny_data(), "interaction", (0.1, 0.5), generator).rate for _ in range(60)]
    assert 0.1 <= min(plain) < 0.17 < 0.43 < max(plain) <= 0.5


def test_a_share_of_nothing_names_the_options() -> None:
    with pytest.raises(InputError, match=r"no item request for a share of 0\.01 .* method\.min_rate"):
        drawn("item", rate=0.01)

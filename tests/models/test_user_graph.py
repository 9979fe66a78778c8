"""The user co-occurrence graph against a loop over users, whatever the size of its chunks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models import user_graph as module
from models.user_graph import user_graph
from tests.tiny import NUM_ITEMS, NUM_USERS, tiny_data


def dense_of(pairs: Tensor, neighbours: int, num_users: int = NUM_USERS) -> Tensor:
    operator = user_graph(pairs, num_users, NUM_ITEMS, neighbours)
    assert operator.matrix is not None
    assert operator.transposed is not None
    assert torch.equal(operator.transposed.to_dense(), operator.matrix.to_dense().t())
    return operator.matrix.to_dense()


def reference(pairs: Tensor, neighbours: int, num_users: int = NUM_USERS) -> Tensor:
    """Written from the definition: sets of items, user by user."""
    sets = [{i for v, i in pairs.t().tolist() if v == u} for u in range(num_users)]
    graph = torch.zeros(num_users, num_users)
    for u, own in enumerate(sets):
        shared = {v: len(own & other) for v, other in enumerate(sets) if v != u and own & other}
        kept = sorted(shared, key=lambda v: (-shared[v], v))[:neighbours]
        total = sum(2.718281828459045 ** shared[v] for v in kept)
        for v in kept:
            graph[u, v] = 2.718281828459045 ** shared[v] / total
    return graph


@pytest.mark.parametrize("chunk", [1, 100, 1 << 18])
@pytest.mark.parametrize("neighbours", [1, 4, 1000])
def test_matches_the_reference(neighbours: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_MEETINGS", chunk)
    pairs = tiny_data().train
    repeated = torch.cat([pairs, pairs[:, :7]], dim=1)  # repeated pairs count once
    torch.testing.assert_close(dense_of(repeated, neighbours), reference(pairs, neighbours))


def test_users_who_meet_nobody_have_empty_rows() -> None:
    pairs = torch.tensor([[0, 0, 2, 4], [1, 2, 2, 9]])
    expected = torch.zeros(6, 6)
    expected[0, 2] = expected[2, 0] = 1.0
    assert torch.equal(dense_of(pairs, 3, num_users=6), expected)


def test_without_pairs_the_graph_is_empty() -> None:
    assert not dense_of(torch.empty(2, 0, dtype=torch.long), 3).any()


def test_a_forgotten_pair_leaves_no_edge() -> None:
    pairs = torch.tensor([[0, 1, 1, 2], [3, 3, 5, 5]])
    before, after = dense_of(pairs, 2, 3), dense_of(pairs[:, [0, 2, 3]], 2, 3)
    assert before[0, 1] == 1.0
    assert not after[0].any()
    assert not after[:, 0].any()

"""The averaging adjacency against small matrices that were worked out by hand."""

from __future__ import annotations

import torch

from models.averages import averaging_adjacency

PAIRS = torch.tensor([[0, 0, 1, 1], [1, 2, 2, 2]])  # the last one is repeated


def test_rows_are_averages_over_neighbours_or_empty() -> None:
    expected = torch.zeros(6, 6)
    expected[0, 4] = expected[0, 5] = expected[5, 0] = expected[5, 1] = 0.5
    expected[1, 5] = expected[4, 0] = 1.0
    operator = averaging_adjacency(PAIRS, 3, 3)
    assert operator.matrix is not None
    assert torch.equal(operator.matrix.to_dense(), expected)


def test_with_loops_a_node_counts_among_its_neighbours_and_keeps_itself_without_any() -> None:
    third = 1 / 3
    expected = torch.tensor(
        [
            [third, 0, 0, 0, third, third],
            [0, 0.5, 0, 0, 0, 0.5],
            [0, 0, 1, 0, 0, 0],
            [0, 0, 0, 1, 0, 0],
            [0.5, 0, 0, 0, 0.5, 0],
            [third, third, 0, 0, 0, third],
        ]
    )
    operator = averaging_adjacency(PAIRS, 3, 3, loops=True)
    assert operator.matrix is not None
    assert operator.transposed is not None
    torch.testing.assert_close(operator.matrix.to_dense(), expected)
    torch.testing.assert_close(operator.transposed.to_dense(), expected.t())

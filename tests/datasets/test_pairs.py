"""Sets of pairs say what Python's sets say, whatever is asked in whatever shape."""

from __future__ import annotations

import pytest
import torch

from datasets.pairs import PairIndex, PairSet

USERS, ITEMS = 7, 5


def drawn(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(size, (count,), generator=generator) for size in (USERS, ITEMS)])


def as_set(pairs: torch.Tensor) -> set[tuple[int, int]]:
    return {(int(user), int(item)) for user, item in pairs.t()}


@pytest.mark.parametrize("count", [0, 1, 12, 60])
def test_membership_is_that_of_a_set(count: int) -> None:
    pairs, known = drawn(count), PairSet(drawn(count), ITEMS)
    users, items = torch.arange(USERS)[:, None], torch.arange(ITEMS).expand(USERS, -1)
    expected = [[(user, item) in as_set(pairs) for item in range(ITEMS)] for user in range(USERS)]
    assert known.contains(users, items).tolist() == expected
    assert len(known) == len(as_set(pairs))
    assert as_set(torch.stack([known.users, known.items])) == as_set(pairs)


def test_a_pair_is_found_where_it_stands() -> None:
    known = PairSet(torch.tensor([[3, 0, 3], [4, 1, 0]]), ITEMS)
    places, there = known.find(torch.tensor([3, 0, 6]), torch.tensor([4, 1, 4]))
    assert there.tolist() == [True, True, False]
    assert places[:2].tolist() == [2, 0]


def test_the_rows_of_users_are_their_pairs() -> None:
    pairs = drawn(20)
    known = PairIndex(pairs, USERS, ITEMS)
    asked = torch.tensor([5, 0, 2])
    position, items = known.rows(asked)
    assert as_set(torch.stack([asked[position], items])) == {p for p in as_set(pairs) if p[0] in asked}
    assert known.counts.tolist() == [sum(p[0] == user for p in as_set(pairs)) for user in range(USERS)]

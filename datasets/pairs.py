"""Sets of (user, item) pairs: whether a pair is in one, and all pairs of a user, without a Python loop.

A pair is a single number, user * num_items + item; a set is the sorted tensor of those.
"""

from __future__ import annotations

import torch
from torch import Tensor


class PairSet:
    """A set of pairs with vectorised membership. ``keys`` [P] are its pairs as numbers, sorted.

    Args:
        pairs: LongTensor [2, E]; duplicates collapse.
    """

    def __init__(self, pairs: Tensor, num_items: int) -> None:
        self.num_items = num_items
        self.keys: Tensor = torch.unique(pairs[0] * num_items + pairs[1])

    def __len__(self) -> int:
        return self.keys.numel()

    @property
    def users(self) -> Tensor:
        """The user of each pair of the set: [P]."""
        return self.keys // self.num_items

    @property
    def items(self) -> Tensor:
        """The item of each pair of the set: [P]."""
        return self.keys % self.num_items

    def contains(self, users: Tensor, items: Tensor) -> Tensor:
        """Whether each (user, item) is in the set; ids of shapes that broadcast: bool of their shape."""
        return self.find(users, items)[1]

    def find(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Where each (user, item) is in ``keys``, and whether it is there at all."""
        wanted = users * self.num_items + items
        if not len(self):
            return torch.zeros_like(wanted), torch.zeros_like(wanted, dtype=torch.bool)
        places = torch.searchsorted(self.keys, wanted).clamp_(max=len(self) - 1)
        return places, self.keys[places] == wanted


class PairIndex(PairSet):
    """A set of pairs with constant-time access to a user's pairs as well. ``counts`` [num_users] are theirs.

    Args:
        pairs: LongTensor [2, E]; duplicates collapse.
    """

    def __init__(self, pairs: Tensor, num_users: int, num_items: int) -> None:
        super().__init__(pairs, num_items)
        self.counts = torch.bincount(self.users, minlength=num_users)
        self._items = self.items
        self._starts = self.counts.cumsum(0) - self.counts

    def rows(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """All pairs of ``users`` [B] as (position in ``users``, item), both [P]."""
        counts = self.counts[users]
        position = torch.repeat_interleave(torch.arange(len(users), device=users.device), counts)
        first = self._starts[users] - (counts.cumsum(0) - counts)
        return position, self._items[first[position] + torch.arange(len(position), device=users.device)]

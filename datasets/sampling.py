"""BPR triples: vectorised on the device, one host synchronisation per epoch at most.

One negative per positive, uniform over the items that occur in training, never one of the user's
own training items (the protocol of the MMRec family).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from datasets.pairs import PairSet


class Batch(NamedTuple):
    """Triples of ids, each LongTensor [B]: ``users`` prefer ``positives`` over ``negatives``."""

    users: Tensor
    positives: Tensor
    negatives: Tensor


class TripleSampler:
    """Draws shuffled (user, positive, negative) batches from ``pairs``.

    Args:
        pairs: LongTensor [2, E], the positives.
        exclude: LongTensor [2, X], pairs that may never appear as a negative (normally the training
            pairs that the caller may know about); it must contain ``pairs``.
        num_items: size of the item id space.
        generator: on the device of ``pairs``.

    Raises:
        ValueError: if ``pairs`` is empty or a user in it interacted with every candidate item.
    """

    def __init__(self, pairs: Tensor, exclude: Tensor, num_items: int, generator: torch.Generator) -> None:
        if pairs.shape[1] == 0:
            raise ValueError("cannot sample from an empty set of pairs")
        self.pairs = pairs
        self.num_items = num_items
        self.generator = generator
        self.candidates = torch.unique(exclude[1])
        self._taken = PairSet(exclude, num_items)
        per_user = torch.bincount(self._taken.users)
        if bool((per_user[pairs[0]] >= self.candidates.numel()).any()):
            raise ValueError("a user interacted with every item: no negative is left to sample")

    def __len__(self) -> int:
        return self.pairs.shape[1]

    def num_batches(self, batch_size: int) -> int:
        """Batches of one epoch."""
        return -(-len(self) // batch_size)

    def epoch(self, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        """One shuffled pass over the pairs, or its first ``limit`` batches (the last may be short)."""
        order = torch.randperm(len(self), generator=self.generator, device=self.pairs.device)
        if limit is not None:
            order = order[: limit * batch_size]
        users, positives = self.pairs[0][order], self.pairs[1][order]
        negatives = self.negatives(users)
        for start in range(0, len(order), batch_size):
            stop = start + batch_size
            yield Batch(users[start:stop], positives[start:stop], negatives[start:stop])

    def negatives(self, users: Tensor) -> Tensor:
        """One negative item per user: LongTensor of the shape of ``users``."""
        drawn = self._draw(users.numel())
        todo = self._taken.contains(users, drawn).nonzero().squeeze(1)
        while todo.numel():
            redrawn = self._draw(todo.numel())
            drawn[todo] = redrawn
            todo = todo[self._taken.contains(users[todo], redrawn)]
        return drawn

    def _draw(self, count: int) -> Tensor:
        picks = torch.randint(
            self.candidates.numel(), (count,), generator=self.generator, device=self.pairs.device
        )
        drawn: Tensor = self.candidates[picks]
        return drawn

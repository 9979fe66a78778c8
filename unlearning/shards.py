"""Isolated shards: which training pair belongs to which shard, and the data of one shard or its slices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from datasets.interactions import InteractionData
from datasets.pairs import PairSet


@dataclass(frozen=True)
class Partition:
    """``labels`` [P] are the shards 0..shards-1 of ``pairs``, in the order of their keys.

    ``slice_labels`` [P] are the slices 0..slices-1 of the same pairs within their shards.
    """

    shards: int
    pairs: PairSet
    labels: Tensor
    slice_labels: Tensor
    slices: int = 1

    def part(self, data: InteractionData, shard: int, slices: int | None = None) -> InteractionData:
        """What one shard may see of ``data``: its pairs, and the validation pairs of users with such a pair.

        Ids and item content are those of ``data``. The same whatever happened in other shards.

        Args:
            slices: only the pairs of the first so many slices; None: all of the shard.
        """
        places, there = self.pairs.find(*data.train)
        mine = there & (self.labels[places] == shard)
        if slices is not None:
            mine &= self.slice_labels[places] < slices
        train = data.train[:, mine]
        valid = data.valid[:, torch.isin(data.valid[0], train[0])]
        return replace(data, train=train, valid=valid, fingerprint=f"{data.fingerprint}-shard-{shard}")

    def of(self, pairs: Tensor) -> Tensor:
        """The shard of each of ``pairs`` [2, P]; -1 for a pair that was not there to be partitioned: [P]."""
        places, there = self.pairs.find(*pairs)
        return torch.where(there, self.labels[places], -1)

    def sizes(self) -> Tensor:
        """Training pairs per shard: [k]."""
        return torch.bincount(self.labels, minlength=self.shards)

    def within(self, pairs: Tensor) -> Partition:
        """The partition of those of its pairs that are among ``pairs`` [2, E]; labels stay what they are."""
        kept = PairSet(pairs, self.pairs.num_items).contains(self.pairs.users, self.pairs.items)
        left = PairSet(torch.stack([self.pairs.users[kept], self.pairs.items[kept]]), self.pairs.num_items)
        return replace(self, pairs=left, labels=self.labels[kept], slice_labels=self.slice_labels[kept])


def trains(part: InteractionData) -> bool:
    """Whether a shard can be trained: it has a pair, a validation pair, and negatives for every user."""
    if not part.train.shape[1] or not part.valid.shape[1]:
        return False
    pairs = torch.unique(part.train, dim=1)
    return bool(torch.bincount(pairs[0]).max() < len(torch.unique(pairs[1])))


def changed(before: InteractionData, after: InteractionData, reads_content: bool) -> bool:
    """Whether a shard's model would come out differently on ``after``: its pairs or their content changed."""
    same = torch.equal(before.train, after.train) and torch.equal(before.valid, after.valid)
    content = reads_content and not torch.equal(before.withdrawn_items, after.withdrawn_items)
    return not same or content

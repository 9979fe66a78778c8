"""Isolated shards: which training pair belongs to which shard, and the data of one shard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from datasets.interactions import InteractionData
from datasets.pairs import PairSet
from unlearning.base import Trained, Workshop
from unlearning.transport import balanced_clusters

Unit = Literal["user", "interaction"]


@dataclass(frozen=True)
class Partition:
    """``labels`` [E] of the training ``pairs``, in the order of their keys; k ``shards``."""

    shards: int
    pairs: PairSet
    labels: Tensor

    def part(self, data: InteractionData, shard: int) -> InteractionData:
        """What one shard may see of ``data``: its pairs, and the validation pairs of users with such a pair.

        Ids and item content are those of ``data``. The same whatever happened in other shards.
        """
        train = data.train[:, self.of(data.train) == shard]
        valid = data.valid[:, torch.isin(data.valid[0], train[0])]
        name = f"{data.fingerprint}-shard-{shard}"
        return replace(data, train=train, valid=valid, fingerprint=name)

    def of(self, pairs: Tensor) -> Tensor:
        """The shard of each of ``pairs`` [2, P]; -1 for a pair that was not there to be partitioned: [P]."""
        places, there = self.pairs.find(*pairs)
        return torch.where(there, self.labels[places], -1)

    def sizes(self) -> Tensor:
        """Training pairs per shard: [k]."""
        return torch.bincount(self.labels, minlength=self.shards)


def partitioned(
    data: InteractionData,
    embeddings: tuple[Tensor, Tensor],
    unit: Unit,
    shards: int,
    epsilon: float,
    rounds: int,
    inner: int,
    seed: int,
) -> Partition:
    """Balanced optimal-transport partition of the users, or the pairs, of ``data.train``.

    Args:
        embeddings: of users [num_users, d] and items [num_items, d], from a model trained on ``data``.
        unit: with ``user`` all pairs of a user share a shard and shards have equally many users; with
            ``interaction`` shards have equally many pairs, placed by both embeddings side by side.
        shards: k, at most the number of users with a training pair.
        epsilon, rounds, inner: of the transport (``unlearning.transport``).
        seed: of the first centroids.
    """
    users, items = embeddings
    pairs = PairSet(data.train, data.num_items)
    if unit == "user":
        active, row = torch.unique(pairs.users, return_inverse=True)
        points = users[active]
    else:
        row = torch.arange(len(pairs), device=pairs.keys.device)
        points = torch.cat([users[pairs.users], items[pairs.items]], dim=1)
    generator = torch.Generator().manual_seed(seed)
    labels = balanced_clusters(points, shards, epsilon, rounds, inner, generator).to(pairs.keys.device)
    return Partition(shards, pairs, labels[row])


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


def train_shard(workshop: Workshop, part: InteractionData, shard: int, epochs: int | None) -> Trained:
    """The model of one shard, from scratch; its seeds follow from the shard's number alone."""
    return workshop.trained(part, f"shard {shard}", epochs)

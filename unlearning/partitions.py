"""How training pairs are divided among shards before any request: by transport, at random, or greedily.

What is divided is a *unit*: users (all pairs of a user share a shard), items (all pairs of an item do),
or interactions (every pair for itself).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from datasets.interactions import InteractionData
from datasets.pairs import PairSet
from unlearning.greedy_assignment import Factor, greedy_clusters
from unlearning.shards import Partition
from unlearning.transport import balanced_clusters

Unit = Literal["user", "item", "interaction"]


class Units(NamedTuple):
    """``row`` [P] is the unit of each of ``pairs``; ``users`` and ``items`` [n] those of each unit.

    A unit of users has no items and one of items no users: that tensor is None.
    """

    pairs: PairSet
    row: Tensor
    users: Tensor | None
    items: Tensor | None

    @property
    def size(self) -> int:
        """n, the number of units."""
        known = self.users if self.users is not None else self.items
        assert known is not None
        return len(known)


def units_of(data: InteractionData, unit: Unit) -> Units:
    """The units of the training pairs of ``data``."""
    pairs = PairSet(data.train, data.num_items)
    if unit == "interaction":
        return Units(pairs, torch.arange(len(pairs), device=pairs.keys.device), pairs.users, pairs.items)
    ids, row = torch.unique(pairs.users if unit == "user" else pairs.items, return_inverse=True)
    return Units(pairs, row, ids, None) if unit == "user" else Units(pairs, row, None, ids)


def shuffled(data: InteractionData, unit: Unit, shards: int, slices: int, seed: int) -> Partition:
    """Random shards of equally many units, each cut into ``slices`` of equally many (SISA).

    ``seed`` alone decides. Sizes differ by one at most.
    """
    units = units_of(data, unit)
    place = torch.empty(units.size, dtype=torch.long)
    place[torch.randperm(units.size, generator=torch.Generator().manual_seed(seed))] = torch.arange(
        units.size
    )
    shard = place % shards
    size = torch.bincount(shard, minlength=shards)[shard]
    part = (place // shards) * slices // size
    device = units.row.device
    return Partition(
        shards, units.pairs, shard.to(device)[units.row], part.to(device)[units.row], slices=slices
    )


def by_transport(
    data: InteractionData,
    embeddings: tuple[Tensor, Tensor],
    unit: Literal["user", "interaction"],
    shards: int,
    epsilon: float,
    rounds: int,
    inner: int,
    seed: int,
) -> Partition:
    """Balanced optimal-transport partition (UltraRE): shards of equally many units, near in embedding space.

    Args:
        embeddings: of users [num_users, d] and items [num_items, d], from a model trained on ``data``.
        unit: interactions are placed by both embeddings side by side.
        shards: k, at most the number of users with a training pair.
        epsilon, rounds, inner: of the transport (``unlearning.transport``).
        seed: of the first centroids.
    """
    users, items = embeddings
    units = units_of(data, unit)
    points = [table[ids] for table, ids in ((users, units.users), (items, units.items)) if ids is not None]
    generator = torch.Generator().manual_seed(seed)
    labels = balanced_clusters(torch.cat(points, dim=1), shards, epsilon, rounds, inner, generator)
    return _whole(units, shards, labels)


def greedy(
    data: InteractionData,
    vectors: tuple[Tensor, Tensor],
    unit: Unit,
    shards: int,
    rounds: int,
    slack: float,
    seed: int,
) -> Partition:
    """RecEraser's balanced greedy partition: units go to near anchors while these have room.

    Args:
        vectors: of users [num_users, d] and items [num_items, d].
        unit: interactions by the product of both distances, users or items by their own.
        shards: k, at most the number of units.
        rounds: of assigning units and moving anchors, at most.
        slack: a shard takes at most ``slack`` times its even share.
        seed: of the first anchors.
    """
    units = units_of(data, unit)
    sides = zip(vectors, (units.users, units.items), strict=True)
    factors = [Factor.of(table, ids) for table, ids in sides if ids is not None]
    generator = torch.Generator().manual_seed(seed)
    return _whole(units, shards, greedy_clusters(factors, shards, rounds, slack, generator))


def _whole(units: Units, shards: int, labels: Tensor) -> Partition:
    """A partition with one slice per shard, from the labels of its units [n]."""
    row = units.row
    return Partition(shards, units.pairs, labels.to(row.device)[row], torch.zeros_like(row))

"""The k-core: users and items with fewer than k pairs go, until none is left that has fewer.

The result does not depend on the order in which they go: it is the largest set of pairs in which every
user and item has k of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.prepare.pair_files import Chunk, PairFiles

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Core:
    """Which users and items stay, and after how many rounds."""

    users: Mask
    items: Mask
    rounds: int

    def keeps(self, chunk: Chunk) -> Mask:
        """Which pairs of a chunk stay."""
        stays: Mask = self.users[chunk["user"]] & self.items[chunk["item"]]
        return stays


def k_core(pairs: PairFiles, num_users: int, items: Mask, k: int) -> Core:
    """The k-core of the pairs whose item is marked in ``items`` [num_items]; k below 1 counts as 1.

    Users and items without a pair never stay.
    """
    core, rounds = Core(np.ones(num_users, dtype=bool), items, 0), 0
    while True:
        per_user = np.zeros(num_users, dtype=np.int64)
        per_item = np.zeros(len(items), dtype=np.int64)
        for chunk in pairs.chunks():
            stays = core.keeps(chunk)
            per_user += np.bincount(chunk["user"][stays], minlength=num_users)
            per_item += np.bincount(chunk["item"][stays], minlength=len(items))
        rounds += 1
        smaller = Core(core.users & (per_user >= max(k, 1)), core.items & (per_item >= max(k, 1)), rounds)
        if (smaller.users == core.users).all() and (smaller.items == core.items).all():
            return smaller
        core = smaller

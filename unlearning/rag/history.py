"""The retained history of every user: all that retrieval may ever see.

Deleting from it is the whole of forgetting by retrieval; nothing is computed per request.
"""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from datasets.interactions import InteractionData

Ints = NDArray[np.int64]


class RetainedHistory:
    """Training items by user, in the order in which the data set has them."""

    def __init__(self, data: InteractionData) -> None:
        users, items = data.train.cpu().numpy()
        order = np.argsort(users, kind="stable")
        self._items: Ints = items[order]
        self._ends: Ints = np.searchsorted(users[order], np.arange(data.num_users + 1))

    def of(self, user: int) -> Ints:
        """Item ids [H]."""
        return self._items[self._ends[user] : self._ends[user + 1]]

    def digest(self, user: int) -> str:
        """Of a user's history; "" where he has none."""
        own = self.of(user)
        return sha256(own.tobytes()).hexdigest() if len(own) else ""

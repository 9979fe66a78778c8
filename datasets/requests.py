"""Deletion requests: what must be forgotten, and the data that is left.

A request names users (all their training pairs go), items (all their training pairs and their content) or
single training pairs; how it is drawn is its regime's matter (``datasets.regimes``). The forget set is cut
from the training split only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from datasets.interactions import InteractionData
from datasets.item_graphs import drop_items
from datasets.item_text import NOTHING
from datasets.pairs import PairSet


@dataclass(frozen=True)
class DeletionRequest:
    """``users`` [U] and ``items`` [I] lose everything; ``forget`` [2, F] are the pairs that go.

    ``users`` is empty outside the user regime and ``items`` outside the item regime. Ids are sorted,
    pairs are in the order of the training split. ``regime`` is a label; what leaves follows from the content.
    Injected users are a request of the user regime.
    """

    regime: str
    users: Tensor
    items: Tensor
    forget: Tensor

    def apply(self, data: InteractionData) -> InteractionData:
        """The retained data: same id space, nothing derived from the forget set.

        The training split loses the forget pairs in every regime. Validation pairs of forgotten
        users or items go as well, because selecting on them would use what was withdrawn; test pairs
        stay, to be reported apart. In the item regime feature rows become zero, the items leave the
        item graphs, their text becomes empty, and they join ``withdrawn_items``.
        """
        if not (self.users.numel() or self.items.numel() or self.forget.numel()):
            return data
        retained = replace(
            data,
            train=data.train[:, ~PairSet(self.forget, data.num_items).contains(*data.train)],
            valid=data.valid[:, ~self.owns(data.valid)],
            fingerprint=f"{data.fingerprint}-{self._digest()}",
        )
        return _withdraw(retained, self.items) if self.items.numel() else retained

    def owns(self, pairs: Tensor) -> Tensor:
        """Which columns of ``pairs`` [2, P] belong to a forgotten user or item: bool [P]."""
        return torch.isin(pairs[0], self.users) | torch.isin(pairs[1], self.items)

    def _digest(self) -> str:
        content = hashlib.sha256(self.regime.encode())
        for ids in (self.users, self.items, self.forget):
            content.update(f"|{tuple(ids.shape)}|".encode())
            content.update(ids.cpu().numpy().tobytes())
        return content.hexdigest()[:16]


def _withdraw(data: InteractionData, items: Tensor) -> InteractionData:
    text = data.item_text
    if text is not None:
        gone = set(items.tolist())
        text = tuple(NOTHING if item in gone else known for item, known in enumerate(text))
    return replace(
        data,
        withdrawn_items=torch.unique(torch.cat([data.withdrawn_items, items])),
        features={m: x.index_fill(0, items, 0.0) for m, x in data.features.items()},
        item_graphs={m: drop_items(graph, items) for m, graph in data.item_graphs.items()},
        item_text=text,
    )

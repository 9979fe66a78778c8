"""What the user and the item regime share: whole rows or columns of the interaction matrix go."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from datasets.regimes.base import Regime
from datasets.regimes.size import listed_number, number

if TYPE_CHECKING:
    from datasets.id_maps import IdMaps
    from datasets.interactions import InteractionData
    from datasets.requests import DeletionRequest
    from datasets.validation import DataSummary


class EntityRegime(Regime):
    """All training pairs of some users (``row`` 0 of the pairs) or of some items (``row`` 1)."""

    row: ClassVar[Literal[0, 1]]

    def size(self, summary: DataSummary, maps: IdMaps | None) -> int:
        """How many users or items; only those with a training pair are drawn."""
        users = summary.num_users - summary.users_without_train
        items = summary.num_items - summary.items_without_train
        there = (users, items)[self.row]
        if self.options.file is not None:
            listed = len(self.listed(summary.num_users, summary.num_items, maps))
            return listed_number(self.options, listed, there)
        return number(self.options, there)

    def draw(self, data: InteractionData) -> DeletionRequest:
        """Users or items among those with a training pair."""
        import torch

        from datasets.regimes.drawing import drawn_ids, listed_ids, request_for

        occurrences = data.train.cpu()[self.row]
        if self.options.file is None:
            ids = drawn_ids(self.options, occurrences)
        else:
            rows = torch.from_numpy(self.listed(data.num_users, data.num_items, data.id_maps))
            ids = listed_ids(self.options, rows[:, 0], occurrences)
        users, items = (ids, ids[:0]) if self.row == 0 else (ids[:0], ids)
        label = "user" if self.row == 0 else "item"
        return request_for(label, self.options, data, users, items, torch.isin(occurrences, ids))

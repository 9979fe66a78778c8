"""``regime=interaction``: single training pairs; users and items stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasets.regimes.base import Regime
from datasets.regimes.size import listed_number, number
from datasets.request_files import ListForm

if TYPE_CHECKING:
    from datasets.id_maps import IdMaps
    from datasets.interactions import InteractionData
    from datasets.requests import DeletionRequest
    from datasets.validation import DataSummary


class InteractionRegime(Regime):
    """Single pairs go, and nothing with them."""

    form = ListForm("interaction", ("user", "item"), "interactions")

    def size(self, summary: DataSummary, maps: IdMaps | None) -> int:
        """How many pairs."""
        if self.options.file is not None:
            listed = len(self.listed(summary.num_users, summary.num_items, maps))
            return listed_number(self.options, listed, summary.train)
        return number(self.options, summary.train)

    def draw(self, data: InteractionData) -> DeletionRequest:
        """Pairs of the training split."""
        import torch

        from datasets.regimes.drawing import drawn_pairs, listed_pairs, request_for

        train, nobody = data.train.cpu(), torch.empty(0, dtype=torch.long)
        if self.options.file is None:
            pairs = drawn_pairs(self.options, train)
        else:
            rows = torch.from_numpy(self.listed(data.num_users, data.num_items, data.id_maps))
            pairs = listed_pairs(self.options, rows.t(), data)
        return request_for("interaction", self.options, data, nobody, nobody, pairs)

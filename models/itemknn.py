"""ItemKNN: items that occur together, by cosine.

Deshpande and Karypis, "Item-Based Top-N Recommendation Algorithms", TOIS 2004. With the counts C = X^T X

    s_ij = C_ij / (sqrt(C_ii C_jj) + shrink),   W_i = the largest ``neighbours`` of s_i,   scores = X W

C is kept, in whole numbers: taking users and items out of it leaves exactly the counts of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from datasets.interactions import InteractionData
from datasets.pairs import PairIndex
from models.closed_form import ClosedForm, constant, touched_users
from models.cooccurrence import cooccurrences


@dataclass(frozen=True)
class ItemKNNOptions:
    """Size and damping of neighbourhoods."""

    neighbours: Annotated[int, Field(ge=1)] = 100
    """Items that an item recommends. Published: 10 to 50; ours."""
    shrink: Annotated[float, Field(ge=0)] = 0.0
    """Damps the similarity of items with few users. Published: 0."""


class ItemKNN(ClosedForm):
    """ItemKNN."""

    Options = ItemKNNOptions
    item_graph_option: ClassVar[None] = None
    """Its neighbours are of items that the same users have, and of no item content."""

    def __init__(self, data: InteractionData, options: Any) -> None:
        super().__init__(data, options)
        self.counts = constant(torch.zeros(data.num_items, data.num_items, dtype=torch.int32))

    def fit(self, data: InteractionData) -> None:
        """C of ``data.train``."""
        self.counts.data = cooccurrences(PairIndex(data.train, data.num_users, data.num_items))

    def forget(self, before: InteractionData, after: InteractionData) -> int:
        """Take the old rows of touched users out of C, and put what is left of them in."""
        was, is_now = (PairIndex(data.train, data.num_users, data.num_items) for data in (before, after))
        users = touched_users(was, is_now)
        self.counts.data = self.counts.data - cooccurrences(was, users) + cooccurrences(is_now, users)
        return len(users)

    def weights(self) -> Tensor:
        """W."""
        counts = self.counts.double()
        norms = counts.diagonal().sqrt()
        similarity = counts / (norms[:, None] * norms + self.options.shrink).clamp(min=1e-12)
        similarity.fill_diagonal_(0.0)
        best = similarity.topk(min(self.options.neighbours, self.num_items), dim=1)
        return torch.zeros_like(similarity).scatter_(1, best.indices, best.values)

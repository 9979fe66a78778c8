"""EASE: item-item ridge regression without self-similarity.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019. With P = (X^T X + l2 I)^-1

    W_ij = -P_ij / P_jj,   W_jj = 0,   scores = X W

P is kept, so that users and items can be taken out of it exactly (``models.ridge``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from datasets.interactions import InteractionData
from datasets.pairs import PairIndex
from models.closed_form import ClosedForm, constant, touched_users
from models.cooccurrence import cooccurrences, dense_rows
from models.ridge import ridge_inverse, with_columns_emptied, with_rows_changed


@dataclass(frozen=True)
class EASEOptions:
    """The one weight of the paper, and the size of a step of removal."""

    l2: Annotated[float, Field(gt=0)] = 500.0
    """Weight of the squared entries of W. Published: 500 (ML-20M), 1000 (Netflix), 200 (MSD)."""
    removal_block: Annotated[int, Field(ge=1)] = 256
    """Users who are taken out of P in one step; 1: rank-one updates. The result is the same. Ours."""


class EASE(ClosedForm):
    """EASE."""

    Options = EASEOptions

    def __init__(self, data: InteractionData, options: Any) -> None:
        super().__init__(data, options)
        self.inverse = constant(torch.eye(data.num_items, dtype=torch.float64) / options.l2)

    def fit(self, data: InteractionData) -> None:
        """P of ``data.train``."""
        pairs = PairIndex(data.train, data.num_users, data.num_items)
        self.inverse.data = ridge_inverse(cooccurrences(pairs), self.options.l2)

    def forget(self, before: InteractionData, after: InteractionData) -> int:
        """Emptied items by their Schur complement, then the rows of touched users."""
        was, is_now = (PairIndex(data.train, data.num_users, data.num_items) for data in (before, after))
        users = touched_users(was, is_now)
        emptied = torch.isin(torch.arange(self.num_items, device=users.device), is_now.items).logical_not()
        emptied &= torch.isin(torch.arange(self.num_items, device=users.device), was.items)
        inverse = with_columns_emptied(self.inverse.data, emptied.nonzero().squeeze(1), self.options.l2)
        for some in users.split(self.options.removal_block):
            rows = dense_rows(was, some).masked_fill(emptied, 0.0), dense_rows(is_now, some)
            inverse = with_rows_changed(inverse, *rows)
        self.inverse.data = inverse
        return len(users)

    def weights(self) -> Tensor:
        """W."""
        weights = -self.inverse / self.inverse.diagonal()
        return weights.fill_diagonal_(0.0)

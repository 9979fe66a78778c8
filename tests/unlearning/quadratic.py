"""A backbone whose ranking loss is a quadratic in one fusion weight: every step can be told in advance."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms, Recommender, Side

START = [2.0, -1.0, 0.3]
CENTRE = [1.5, -2.0, 0.2]


class Quadratic(Recommender):
    """``ranking`` is -|W - c|^2 / 2, so that climbing it pulls the weight W to ``CENTRE``."""

    def __init__(self, data: InteractionData) -> None:
        super().__init__(data, None)
        torch.manual_seed(0)
        self.users = nn.Parameter(torch.randn(data.num_users, 3))
        self.items = nn.Parameter(torch.randn(data.num_items, 3))
        self.weight = nn.Parameter(torch.tensor(START))
        self.bind(data)

    def bind(self, data: InteractionData) -> None:
        """Nothing depends on the data."""

    def embeddings(self) -> tuple[Tensor, Tensor]:
        return self.users * self.weight, self.items

    def loss(self, batch: Batch) -> LossTerms:
        centre = torch.tensor(CENTRE)
        return LossTerms(-(self.weight - centre).square().sum() / 2, self.weight.new_zeros(()))

    def id_tables(self) -> dict[Side, nn.Parameter]:
        return {"user": self.users, "item": self.items}

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        ids = {"users": [self.users], "items": [self.items]}
        return {"id": ids, "shared": {"fusion": [self.weight]}}

    def fusion_parameters(self) -> list[nn.Parameter]:
        return [self.weight]

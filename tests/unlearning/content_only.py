"""A backbone with one ID table, one modality and buffers that move: the odd corners of the contract."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms, Recommender, Side


class ContentOnly(Recommender):
    """Users have an ID table; an item is its normalised and projected image.

    ``unused`` is trainable, gets no gradient and is listed in no branch.
    """

    multimodal = True

    def __init__(self, data: InteractionData) -> None:
        super().__init__(data, None)
        torch.manual_seed(0)
        self.users = nn.Parameter(torch.randn(data.num_users, 4))
        self.norm = nn.BatchNorm1d(8)
        self.projection = nn.Linear(8, 4, bias=False)
        self.unused = nn.Parameter(torch.ones(3))
        self.bind(data)

    def bind(self, data: InteractionData) -> None:
        self.register_buffer("images", data.features["image"], persistent=False)

    def embeddings(self) -> tuple[Tensor, Tensor]:
        return self.users, self.projection(self.norm(self.images))

    def branch_embeddings(self) -> dict[str, tuple[Tensor, Tensor]]:
        users, items = self.embeddings()
        return {"image": (users, items)}

    def loss(self, batch: Batch) -> LossTerms:
        users, items = self.embeddings()
        margin = (users[batch.users] * (items[batch.positives] - items[batch.negatives])).sum(dim=1)
        return LossTerms(
            ranking=-F.logsigmoid(margin).mean(),
            regulariser=1e-3 * users[batch.users].square().mean(),
            auxiliary={"norm": 1e-3 * self.projection.weight.square().sum()},
        )

    def id_tables(self) -> dict[Side, nn.Parameter]:
        return {"user": self.users}

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        image = {"norm": list(self.norm.parameters()), "projection": [self.projection.weight]}
        return {"id": {"users": [self.users]}, "image": image}

    def fusion_parameters(self) -> list[nn.Parameter]:
        return [self.projection.weight]

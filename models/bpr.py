"""BPR: matrix factorisation on pairwise preferences, the floor of the ladder.

Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009. No graph and no
item content: the score of user u and item i is <p_u, q_i>. Starts and regulariser are those of the MMRec
family, whose runs the published figures come from: Xavier normal tables, and norms that are not squared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms, Recommender, Side
from models.initialisation import normal_table, redraw_normal, xavier_deviation
from models.losses import l2, norms, triple_bpr, triple_rows


@dataclass(frozen=True)
class BPROptions:
    """Width and the weight of the norms: the MMRec family's."""

    embedding_dim: Annotated[int, Field(ge=1)] = 64
    """Width of the ID embeddings."""
    norm_weight: Annotated[float, Field(ge=0)] = 0.1
    """Weight of the norms (not squared) of the batch's user and item embeddings, per example. The family's
    grid is 2, 1, .1, .01 .. 1e-5; a third party names this point for Baby, Sports and Clothing."""
    l2: Annotated[float, Field(ge=0)] = 0.0
    """Weight of half the squared norm of the batch's embeddings, per example: the paper's regulariser, for
    ``norm_weight`` of 0. The family has no such term."""


class BPR(Recommender):
    """Matrix factorisation."""

    Options = BPROptions

    def __init__(self, data: InteractionData, options: Any) -> None:
        super().__init__(data, options)
        width = options.embedding_dim
        self.user_embedding = normal_table(self.num_users, width, xavier_deviation(self.num_users, width))
        self.item_embedding = normal_table(self.num_items, width, xavier_deviation(self.num_items, width))
        self.bind(data)

    def bind(self, data: InteractionData) -> None:
        """Nothing is derived from the data."""

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """The ID embeddings themselves."""
        return self.user_embedding, self.item_embedding

    def loss(self, batch: Batch) -> LossTerms:
        """BPR and the weighted norms of the rows of the batch."""
        rows = triple_rows(self.user_embedding, self.item_embedding, batch)
        options = self.options
        return LossTerms(
            ranking=triple_bpr(*rows),
            regulariser=options.norm_weight * norms(*rows) + options.l2 * l2(*rows),
        )

    def id_tables(self) -> dict[Side, nn.Parameter]:
        """Both sides have an ID table."""
        return {"user": self.user_embedding, "item": self.item_embedding}

    def reinitialise_rows(self, side: Side, ids: Tensor, generator: torch.Generator) -> None:
        """Redraw the rows ``ids`` as the table started (Xavier normal)."""
        table = self.id_tables()[side]
        redraw_normal(table, ids, xavier_deviation(*table.shape), generator)

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """Everything is in the ID branch."""
        return {"id": {"user_embedding": [self.user_embedding], "item_embedding": [self.item_embedding]}}

"""A frozen backbone with a linear head on its propagated embeddings, and that head's Newton step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms, Recommender, Side
from models.losses import triple_bpr, triple_rows

_CHUNK = 2**25
"""Numbers in the outer products that are held in memory at once: 134 MB."""


class HeadedRecommender(Recommender):
    """Scores <scale * z_u + shift_u, z_i> of a backbone's final embeddings z.

    ``scale`` [d] starts at one and ``shift`` [num_users, d] at zero: the backbone itself. All else (ID
    tables, branches, graphs) is the backbone's.
    """

    def __init__(self, backbone: Recommender, data: InteractionData, width: int) -> None:
        super().__init__(data, backbone.options)
        self.backbone = backbone
        self.scale = nn.Parameter(torch.ones(width, device=data.train.device))
        self.shift = nn.Parameter(torch.zeros(self.num_users, width, device=data.train.device))

    def bind(self, data: InteractionData) -> None:
        """Bind the backbone."""
        self.backbone.bind(data)

    def start_epoch(self) -> None:
        """As the backbone."""
        self.backbone.start_epoch()

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """The backbone's items, and its users under the head."""
        users, items = self.backbone.embeddings()
        return users * self.scale + self.shift, items

    def loss(self, batch: Batch) -> LossTerms:
        """BPR under the head; the other terms are the backbone's."""
        own = self.backbone.loss(batch)
        ranking = triple_bpr(*triple_rows(*self.embeddings(), batch))
        return LossTerms(ranking, own.regulariser, own.auxiliary)

    def id_tables(self) -> dict[Side, nn.Parameter]:
        """The backbone's."""
        return self.backbone.id_tables()

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """The backbone's, and the head under ``shared``."""
        branches = dict(self.backbone.modules_by_branch())
        head: dict[str, list[nn.Parameter]] = {"head": [self.scale, self.shift]}
        return branches | {"shared": branches.get("shared", {}) | head}

    def fusion_parameters(self) -> list[nn.Parameter]:
        """The backbone's."""
        return self.backbone.fusion_parameters()

    def reinitialise_rows(self, side: Side, ids: Tensor, generator: torch.Generator) -> None:
        """As the backbone."""
        self.backbone.reinitialise_rows(side, ids, generator)


def logistic_gradient(heads: Tensor, owner: Tensor, x: Tensor) -> Tensor:
    """Gradient of sum_p softplus(-w_owner(p) . x_p) at the ``heads`` w [h, d]: [h, d].

    ``owner`` LongTensor [P] says which head each example ``x`` [P, d] belongs to.
    """
    margins = (F.embedding(owner, heads) * x).sum(dim=1)
    return torch.zeros_like(heads).index_add(0, owner, -torch.sigmoid(-margins)[:, None] * x)


def logistic_hessian(heads: Tensor, owner: Tensor, x: Tensor) -> Tensor:
    """Hessian of the same sum: [h, d, d], one block per head."""
    width = heads.shape[1]
    total = heads.new_zeros(len(heads), width, width)
    size = max(1, _CHUNK // width**2)
    for own, part in zip(owner.split(size), x.split(size), strict=True):
        probability = torch.sigmoid((F.embedding(own, heads) * part).sum(dim=1))
        curvature = (probability * (1 - probability))[:, None] * part
        if len(heads) == 1:
            total[0] += curvature.t() @ part
        else:
            total.index_add_(0, own, curvature[:, :, None] * part[:, None])
    return total

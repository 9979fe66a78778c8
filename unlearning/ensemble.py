"""An ensemble of isolated shard models behind the contract of one recommender."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms, Recommender, Side
from models.losses import l2, triple_bpr
from unlearning.combiner import Attention, Weights
from unlearning.shards import Partition


class ShardEnsemble(Recommender):
    """Frozen shard models and a trained combiner of their embeddings.

    Each shard is bound to its own part of the data only. What holds for an ensemble of the contract:
    ``embeddings`` (hence scores) and ``loss``, the BPR of the combined embeddings, which trains the
    combiner alone. There is no single ID table, so ``id_tables`` is empty and no row can be drawn
    afresh; ``modules_by_branch`` names the combiner under ``shared``; there are no fusion parameters.

    Args:
        data: what to bind to.
        partition: of the full data.
        shards: trained models by shard number; shards that cannot be trained are absent.
        combiner: untrained.
        decay: weight of half the squared norm of the batch's combined embeddings, per example.
        map_decay: weight of half the squared norm of the combiner's linear maps.
    """

    user_views: Tensor
    item_views: Tensor
    user_present: Tensor
    item_present: Tensor

    def __init__(
        self,
        data: InteractionData,
        partition: Partition,
        shards: Mapping[int, Recommender],
        combiner: Attention | Weights,
        decay: float = 0.0,
        map_decay: float = 0.0,
    ) -> None:
        super().__init__(data, None)
        self.partition = partition
        self.decay, self.map_decay = decay, map_decay
        self.shards = nn.ModuleDict({str(number): model for number, model in shards.items()})
        self.shards.requires_grad_(False)
        self.shards.zero_grad(set_to_none=True)
        self.combiner = combiner.to(data.train.device)
        self.bind(data)

    def shard(self, number: int) -> Recommender:
        """The model of one shard. Raises ``KeyError`` where it could not be trained."""
        model = self.shards[str(number)]
        assert isinstance(model, Recommender)
        return model

    def numbers(self) -> list[int]:
        """Numbers of the shards that have a model."""
        return [int(name) for name in self.shards]

    def bind(self, data: InteractionData) -> None:
        """Bind every shard to its part of ``data`` and take its embeddings, until the next call."""
        users, items, present = [], [], []
        for number in self.numbers():
            part, model = self.partition.part(data, number), self.shard(number)
            model.bind(part)
            model.eval()
            own_users, own_items = self.view(model)
            users.append(own_users)
            items.append(own_items)
            present.append([self._occurs(part.train[0], "user"), self._occurs(part.train[1], "item")])
        for side, views in (("user", users), ("item", items)):
            self.register_buffer(f"{side}_views", torch.stack(views, dim=1), persistent=False)
            column = 0 if side == "user" else 1
            known = torch.stack([pair[column] for pair in present], dim=1)
            # Whoever is in no shard at all (cold, or forgotten) is taken from every shard alike.
            known |= ~known.any(dim=1, keepdim=True)
            self.register_buffer(f"{side}_present", known, persistent=False)

    @torch.no_grad()
    def view(self, model: Recommender) -> tuple[Tensor, Tensor]:
        """What is combined of a shard's model: its final embeddings of users and items."""
        return model.embeddings()

    def train(self, mode: bool = True) -> ShardEnsemble:
        """Only the combiner has a training mode; shards are frozen as they are in evaluation."""
        super().train(mode)
        self.shards.eval()
        return self

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Combined embeddings of all users and items."""
        return (
            self.combiner.users(self.user_views, self.user_present),
            self.combiner.items(self.item_views, self.item_present),
        )

    def loss(self, batch: Batch) -> LossTerms:
        """BPR and L2 on the combined rows of the batch, and L2 of the combiner's maps."""
        rows = self.rows(batch)
        regulariser = self.decay * l2(*rows) + self.map_decay * self.combiner.map_norm()
        return LossTerms(ranking=triple_bpr(*rows), regulariser=regulariser)

    def rows(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Combined rows of the users, positives and negatives of a batch, each [B, d]."""
        users = self.combiner.users(*self._rows("user", batch.users))
        items = self.combiner.items(*self._rows("item", torch.cat([batch.positives, batch.negatives])))
        positives, negatives = items.chunk(2)
        return users, positives, negatives

    def id_tables(self) -> dict[Side, nn.Parameter]:
        """None of its own."""
        return {}

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """The combiner, under ``shared``."""
        return {"shared": {"combiner": list(self.combiner.parameters())}}

    def _rows(self, side: Side, ids: Tensor) -> tuple[Tensor, Tensor]:
        views, present = getattr(self, f"{side}_views"), getattr(self, f"{side}_present")
        return F.embedding(ids, views.flatten(1)).unflatten(1, views.shape[1:]), present[ids]

    def _occurs(self, ids: Tensor, side: Side) -> Tensor:
        length = self.num_users if side == "user" else self.num_items
        return torch.bincount(ids, minlength=length) > 0

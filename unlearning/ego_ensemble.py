"""RecEraser's form for LightGCN: the shards' ID tables are combined and propagated once over all data."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import Tensor

from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import Recommender, Side
from models.losses import triple_rows
from unlearning.combiner import Attention
from unlearning.ensemble import ShardEnsemble
from unlearning.replaced_tables import ReplacedTables
from unlearning.shards import Partition

SIDES: tuple[Side, Side] = ("user", "item")


def check_ego(model: Recommender) -> None:
    """Raise ``InputError`` for a backbone that is more than its ID tables: that rest has no combination."""
    tables = {id(table) for table in model.id_tables().values()}
    if set(model.id_tables()) != set(SIDES) or any(id(p) not in tables for p in model.parameters()):
        raise InputError(
            "method.aggregate=ego combines the ID tables of the shards and needs a backbone that has no "
            f"other parameters (bpr, lightgcn); {type(model).__name__} has: set method.aggregate=final."
        )


class EgoEnsemble(ShardEnsemble):
    """Frozen shards whose ID tables a combiner mixes; one backbone propagates the mixture over all data.

    Args: as ``ShardEnsemble``; the shards are backbones that ``check_ego`` accepts.
    """

    def __init__(
        self,
        data: InteractionData,
        partition: Partition,
        shards: Mapping[int, Recommender],
        combiner: Attention,
        map_decay: float,
    ) -> None:
        super().__init__(data, partition, shards, combiner, map_decay=map_decay)
        self._carrier = ReplacedTables(copy.deepcopy(next(iter(shards.values()))))
        self._carrier.requires_grad_(False)
        for table in self._carrier.parameters():
            table.zero_()  # a call puts the mixture in their place
        self._carrier.backbone.bind(data)

    def bind(self, data: InteractionData) -> None:
        """Bind the shards to their parts, and the backbone of the mixture to all of ``data``."""
        super().bind(data)
        if "_carrier" in self._modules:  # not yet while the base class is built
            self._carrier.backbone.bind(data)

    def view(self, model: Recommender) -> tuple[Tensor, Tensor]:
        """The ID tables of a shard, before propagation."""
        tables = model.id_tables()
        return tables["user"].detach(), tables["item"].detach()

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """The combined tables, propagated."""
        mixed = super().embeddings()
        names = {id(table): name for name, table in self._carrier.backbone.named_parameters()}
        own = self._carrier.backbone.id_tables()
        tables = {names[id(own[side])]: table for side, table in zip(SIDES, mixed, strict=True)}
        final: tuple[Tensor, Tensor] = self._carrier.run(tables, lambda backbone: backbone.embeddings())
        return final

    def rows(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Propagated rows of the batch."""
        return triple_rows(*self.embeddings(), batch)

"""Which tables of a backbone UnlearnRec changes, what its encoders read, and the state that both leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from datasets.interactions import InteractionData
from models.base import Recommender
from models.graph import Propagation, SparseOperator, interaction_block
from unlearning.distillation import Embeddings, frozen
from unlearning.influence_encoder import InfluenceEncoder

Branches = Literal["id", "all"]
Source = Literal["final", "id"]
Rows = dict[str, slice]
"""Tables by parameter name, and which of the nodes [users; items] their rows are."""


def changed_tables(model: Recommender, branches: Branches) -> dict[str, Rows]:
    """The tables of each branch that get a change: the ID tables; with ``all`` trained feature tables too."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    items = slice(model.num_users, model.num_users + model.num_items)
    sides = {"user": slice(0, model.num_users), "item": items}
    found = {"id": {names[id(table)]: sides[side] for side, table in model.id_tables().items()}}
    for modality, modules in model.modules_by_branch().items() if branches == "all" else ():
        tables = modules.get(f"feature_tables.{modality}", [])
        if tables:
            found[modality] = {names[id(table)]: items for table in tables}
    return found


class Influence(nn.Module):
    """One encoder per branch and the constants that it reads: E, and the trained model's embeddings.

    Its parameters are the encoders' alone; its ``state_dict`` is all that a request needs.

    Args:
        model: the backbone; only its shape matters here.
        encoder: builds one for a number of nodes and a width.
    """

    trained_users: Tensor
    trained_items: Tensor

    def __init__(
        self, model: Recommender, branches: Branches, encoder: Callable[[int, int], InfluenceEncoder]
    ) -> None:
        super().__init__()
        self.tables = changed_tables(model, branches)
        nodes = model.num_users + model.num_items
        widths = {b: model.get_parameter(next(iter(rows))).shape[1] for b, rows in self.tables.items()}
        self.encoders = nn.ModuleDict({branch: encoder(nodes, width) for branch, width in widths.items()})
        for branch, width in widths.items():
            self.register_buffer(f"source_{branch}", torch.zeros(nodes, width))
        self.register_buffer("trained_users", torch.zeros(model.num_users, widths["id"]))
        self.register_buffer("trained_items", torch.zeros(model.num_items, widths["id"]))
        self.to(next(model.parameters()).device)

    @property
    def trained(self) -> Embeddings:
        """Final embeddings of the trained model on the whole graph."""
        return Embeddings(self.trained_users, self.trained_items)

    @torch.no_grad()
    def read(self, model: Recommender, data: InteractionData, source: Source) -> None:
        """Take the constants from the trained ``model``, bound to ``data``.

        E of the ID branch is the final embeddings or the ID rows, as ``source`` says. E of a feature table
        is its rows for items, and one propagation step of them for users.
        """
        trained = frozen(model)
        self.trained_users.copy_(trained.users)
        self.trained_items.copy_(trained.items)
        block = interaction_block(data.train, data.num_users, data.num_items)
        for branch, rows in self.tables.items():
            tables: list[Tensor] = [model.get_parameter(name) for name in rows]
            if branch != "id":
                tables = [Propagation()(tables[0], block), tables[0]]
            parts = list(trained) if branch == "id" and source == "final" else tables
            self.get_buffer(f"source_{branch}").copy_(torch.cat(parts))

    def encoder(self, branch: str) -> InfluenceEncoder:
        """The encoder of a branch."""
        encoder = self.encoders[branch]
        assert isinstance(encoder, InfluenceEncoder)
        return encoder

    def each(self) -> list[InfluenceEncoder]:
        """All encoders."""
        return [self.encoder(branch) for branch in self.tables]

    @property
    def names(self) -> list[str]:
        """Parameter names of all tables that get a change."""
        return [name for rows in self.tables.values() for name in rows]

    def signals(self, edges: SparseOperator) -> dict[str, Tensor]:
        """What each branch's perceptron reads for the request's ``edges``: [nodes, d] by branch."""
        return {b: self.encoder(b).signal(edges, self.get_buffer(f"source_{b}")) for b in self.tables}

    def changes(self, signals: dict[str, Tensor], withdrawn_items: Tensor) -> dict[str, Tensor]:
        """The change of each table, by parameter name; none of the content of ``withdrawn_items`` [W]."""
        found: dict[str, Tensor] = {}
        for branch, rows in self.tables.items():
            change = self.encoder(branch).perceptron(signals[branch])
            found |= {name: change[own] for name, own in rows.items()}
            if branch != "id":
                found |= {name: found[name].index_fill(0, withdrawn_items, 0.0) for name in rows}
        return found

"""IFRU: influence of the removed pairs and of what their edges did for others, on pruned rows.

Zhang et al., "Recommendation unlearning via influence function", ACM TORS 2024 (arXiv 2307.02147). Removing F
takes its loss away and changes the scores of retained pairs ("spillover"):

    g = (1/n) [ sum_F grad l_p(G) + sum_A ( grad l_p(G) - grad l_p(G without F) ) ]

over the pairs A that score otherwise. Only the ID rows of important nodes move: those whose share of
removed pairs, spread one step over the graph, is at or above a quantile of the shares that are not zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from models.base import Side
from unlearning.options import SecondOrderOptions
from unlearning.second_order.method import InfluenceMethod, Scene
from unlearning.second_order.reach import removed_shares


@dataclass(frozen=True)
class IFRUOptions(SecondOrderOptions):
    """Published presets: docs/methods/ifru.md."""

    prune_quantile: Annotated[float, Field(ge=0, le=1)] = 0.4
    """Nodes whose importance is below this quantile, of users and items together, stay. Published: .4."""


class IFRU(InfluenceMethod):
    """Influence with spillover on pruned rows."""

    Options = IFRUOptions
    options: IFRUOptions

    def affected(self, scene: Scene) -> Tensor:
        """Retained pairs whose score changes when the edges go."""
        return scene.rescored()

    def rows(self, scene: Scene) -> dict[Side, Tensor]:
        """Important users and items."""
        users, items = removed_shares(scene.problem)
        shares = torch.cat([users, items])
        reached = shares[shares > 0].sort().values
        least = reached[min(int(self.options.prune_quantile * len(reached)), len(reached) - 1)]
        return {"user": (users >= least).nonzero().squeeze(1), "item": (items >= least).nonzero().squeeze(1)}

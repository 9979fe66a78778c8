"""GIF: graph influence function, over the neighbourhood that removed edges reach.

Wu et al., "GIF: A General Graph Unlearning Strategy via Influence Function", WWW 2023. As in a plain
influence step, but the pairs of nodes near a removed edge count twice: as they were on the full graph, and
as they are without it. The Neumann series solves the system: h <- g + h - C h / scale, delta = h / scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from unlearning.options import MovedModules, SecondOrderOptions
from unlearning.second_order.method import InfluenceMethod, Scene
from unlearning.second_order.reach import within_hops


@dataclass(frozen=True)
class GIFOptions(SecondOrderOptions):
    """Published presets: docs/methods/gif.md."""

    modules: MovedModules = "small"
    solver: Literal["cg", "neumann", "adam_p"] = "neumann"
    hops: Annotated[int, Field(ge=0)] = 2
    """A: retained pairs between nodes within so many steps of a removed edge. Published: 2."""
    node_hops: Annotated[int, Field(ge=0)] = 3
    """The same for requests that name users or items. Published: 3."""


class GIF(InfluenceMethod):
    """Influence with the neighbourhood's change."""

    Options = GIFOptions
    options: GIFOptions

    def affected(self, scene: Scene) -> Tensor:
        """Retained pairs near a removed edge."""
        return near_removed(scene, self.options.hops, self.options.node_hops)


def near_removed(scene: Scene, hops: int, node_hops: int) -> Tensor:
    """Retained triples whose pair lies within ``hops`` of a removed edge, or within ``node_hops`` where the
    request names users or items: bool [R]."""
    request = scene.problem.request
    steps = node_hops if request.users.numel() or request.items.numel() else hops
    return within_hops(scene.problem.full, request.forget, steps).both_ends(scene.triples.retain)

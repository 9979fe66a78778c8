"""IDEA: flexible certified unlearning for graphs, of edges, nodes and features; without certificate here.

Dong et al., "IDEA: A Flexible Framework of Certified Unlearning for Graph Neural Networks", KDD 2024. GIF's
step with A widened to the nodes whose features change, and Gaussian noise that buys a certificate where the
loss is convex. Without noise, and where no content changes, it is GIF's step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from unlearning.gif import near_removed
from unlearning.options import MovedModules, SecondOrderOptions
from unlearning.second_order.method import InfluenceMethod, Scene


@dataclass(frozen=True)
class IDEAOptions(SecondOrderOptions):
    """Published presets: docs/methods/idea.md."""

    modules: MovedModules = "small"
    solver: Literal["cg", "neumann", "adam_p"] = "neumann"
    hops: Annotated[int, Field(ge=0)] = 2
    """A: retained pairs between nodes within so many steps of a removed edge. Published: 2."""
    node_hops: Annotated[int, Field(ge=0)] = 3
    """The same for requests that name users or items. Published: 3."""
    iterations: Annotated[int, Field(ge=1)] = 5
    """Of the Neumann series. Published: 5, or 100 to 10,000 by data set."""


class IDEA(InfluenceMethod):
    """GIF for features too."""

    Options = IDEAOptions
    options: IDEAOptions

    def affected(self, scene: Scene) -> Tensor:
        """Retained pairs near a removed edge, and those that score otherwise since content is gone."""
        near = near_removed(scene, self.options.hops, self.options.node_hops)
        return near | scene.rescored() if scene.problem.request.items.numel() else near

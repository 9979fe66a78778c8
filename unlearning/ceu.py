"""CEU: certified edge unlearning, as one influence step for removed edges; without certificate here.

Wu et al., "Certified Edge Unlearning for Graph Neural Networks", KDD 2023:

    theta <- theta + (1/n) H^-1 ( sum_A grad l(G) - sum_A grad l(G without F) ) + noise

over the nodes A within L + 1 hops of a removed edge, L the backbone's layers, by conjugate gradients. A
node classifier has no loss on edges; a recommender does, so the loss of F goes as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from unlearning.options import MovedModules, SecondOrderOptions
from unlearning.second_order.method import InfluenceMethod, Scene
from unlearning.second_order.reach import layers_of, within_hops


@dataclass(frozen=True)
class CEUOptions(SecondOrderOptions):
    """Published presets: docs/methods/ceu.md."""

    modules: MovedModules = "small"
    include_forget_loss: bool = True
    """Whether the forgotten pairs' own loss is part of g, because here a pair is edge and sample in one.
    Published, for node classifiers: false. Ours."""


class CEU(InfluenceMethod):
    """Influence of removed edges."""

    Options = CEUOptions
    options: CEUOptions

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.forget_loss = options.include_forget_loss

    def affected(self, scene: Scene) -> Tensor:
        """Retained pairs within L + 1 steps of a removed edge."""
        hops = layers_of(scene.model) + 1
        request = scene.problem.request
        return within_hops(scene.problem.full, request.forget, hops).both_ends(scene.triples.retain)

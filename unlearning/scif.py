"""SCIF: selective and collaborative influence function, on the rows of those who ask.

Li et al., "Selective and collaborative influence function for efficient recommendation unlearning", Expert
Systems with Applications 2023 (arXiv 2304.10199). Only the ID rows of the request's users and items move, by
the influence of their own pairs; the curvature of the others' pairs makes it collaborative:

    (C + damping I) delta = (1/n) sum_F grad l_p,        theta_rows <- theta_rows + delta
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from models.base import Side
from unlearning.base import Problem
from unlearning.options import SecondOrderOptions
from unlearning.second_order.method import InfluenceMethod, Scene, nobody


@dataclass(frozen=True)
class SCIFOptions(SecondOrderOptions):
    """Published presets: docs/methods/scif.md."""

    sides: Literal["user", "item", "both"] = "both"
    """Whose ID rows move, of the users and items in forgotten pairs. Published: the user block (the paper,
    ERASE), users and items (a re-implementation by IFRU's authors)."""


class SCIF(InfluenceMethod):
    """Influence of the forgotten pairs on their own rows; nobody else counts as affected."""

    Options = SCIFOptions
    options: SCIFOptions

    def affected(self, scene: Scene) -> Tensor:
        """Nobody."""
        return nobody(scene.triples)

    def rows(self, scene: Scene) -> dict[Side, Tensor]:
        """Users and items of forgotten pairs."""
        return rows_of(scene.problem, self.options.sides)


def rows_of(problem: Problem, sides: Literal["user", "item", "both"]) -> dict[Side, Tensor]:
    """Ids in forgotten pairs, by side."""
    users, items = problem.request.forget
    found: dict[Side, Tensor] = {"user": users.unique(), "item": items.unique()}
    return {side: ids for side, ids in found.items() if sides in (side, "both")}

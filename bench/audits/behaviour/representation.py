"""Representation: how far each module moved, and how alike the branches see the items.

Shift of module k: ||theta_k - theta_k^ref||_F / ||theta_k^ref||_F, with the original and gold as
reference (TRU, arXiv 2604.02183, Figure 5; the normaliser is ours). Original and gold start from the
same initial weights; without that, gold's tables would differ for free.

Linear CKA (Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019)
between the item matrices X, Y [num_items, d] of two branches, columns centred (TRU, Figure 4):

    CKA(X, Y) = ||Y^T X||_F^2 / (||X^T X||_F ||Y^T Y||_F)

A backbone that offers ``branch_embeddings()`` (MGCN, MIG-GT) is read there: the views after propagation
and before fusion. Otherwise the ID branch is the item ID table and a modality's branch its projected
features (``content(modality)``): what goes into the fusion, before any graph. A backbone without a second
branch has no CKA figure, and a module whose reference has norm 0 no shift.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.audits.base import Audit, Figures
from models.base import Recommender
from models.capabilities import Capability


class Representation(Audit):
    """Parameter shift by module and CKA between branches."""

    name = "representation"
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.PARAMETERS})

    def figures(self, model: Recommender) -> Figures:
        """``shift_to_<reference>/<branch>.<module>`` and ``cka/<branch>_<branch>``."""
        found: Figures = {}
        for reference, other in self.context.references.items():
            for module, shift in shifts(model, other).items():
                found[f"shift_to_{reference}/{module}"] = shift
        for (first, x), (second, y) in combinations(sorted(branches(model).items()), 2):
            found[f"cka/{first}_{second}"] = linear_cka(x, y)
        return found


def shifts(model: Recommender, reference: Recommender) -> dict[str, float]:
    """Relative shift by ``<branch>.<module>`` that both have, but for modules whose reference is zero."""
    ours, theirs = _modules(model), _modules(reference)
    found = {}
    for name, parameters in theirs.items():
        if name not in ours:  # an ensemble has no module in common with a single backbone
            continue
        before, now = _flat(parameters), _flat(ours[name])
        if float(before.norm()) > 0:
            found[name] = float((now - before).norm() / before.norm())
    return found


def branches(model: Recommender) -> dict[str, Tensor]:
    """Item matrices [num_items, d] by branch; one alone, or none, where there is nothing to compare."""
    propagated: Callable[[], dict[str, tuple[Tensor, Tensor]]] | None = getattr(
        model, "branch_embeddings", None
    )
    if propagated is not None:
        return {branch: items for branch, (_, items) in propagated().items()}
    tables = model.id_tables()
    found = {"id": tables["item"].detach()} if "item" in tables else {}
    content: Callable[[str], Tensor] | None = getattr(model, "content", None)
    if content is not None:
        found |= {modality: content(modality) for modality in getattr(model, "modalities", ())}
    return found


def linear_cka(x: Tensor, y: Tensor) -> float:
    """Linear CKA of X [n, a] and Y [n, b]: 0 (unrelated) to 1 (equal up to rotation and scale)."""
    x, y = (z.double() - z.double().mean(dim=0) for z in (x, y))
    across, own_x, own_y = y.t() @ x, x.t() @ x, y.t() @ y
    return float(across.square().sum() / (own_x.norm() * own_y.norm()).clamp(min=torch.finfo(x.dtype).tiny))


def _modules(model: Recommender) -> dict[str, list[nn.Parameter]]:
    by_branch = model.modules_by_branch()
    return {
        f"{branch}.{name}": parameters
        for branch, modules in by_branch.items()
        for name, parameters in modules.items()
    }


def _flat(parameters: list[nn.Parameter]) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in parameters]).double()

"""What a multimodal backbone knows of an item in each modality alone, before fusion."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from models.base import Recommender


@runtime_checkable
class _Branched(Protocol):
    def branch_embeddings(self) -> dict[str, tuple[Tensor, Tensor]]: ...


@runtime_checkable
class _Projecting(Protocol):
    modalities: tuple[str, ...]

    def content(self, m: str) -> Tensor: ...


def has_streams(model: Recommender) -> bool:
    """Whether ``item_streams`` can answer for this backbone."""
    return isinstance(model, _Branched | _Projecting)


def item_streams(model: Recommender) -> dict[str, Tensor]:
    """Items per modality, each [num_items, d_m].

    The propagated view of the modality where the backbone has one (``branch_embeddings``), else its
    projected content. Raises ``TypeError`` for a backbone without either.
    """
    if isinstance(model, _Branched):
        return {m: items for m, (_, items) in model.branch_embeddings().items() if m != "id"}
    if isinstance(model, _Projecting):
        return {m: model.content(m) for m in model.modalities}
    raise TypeError(f"{type(model).__name__} has no modality streams")

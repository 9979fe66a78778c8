"""The triples of a request, drawn once: every gradient and every product sees the same sampled items."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from datasets.sampling import Batch
from unlearning.base import Problem
from unlearning.passes import whole_pass


class FixedTriples(NamedTuple):
    """One triple for each training pair: F in ``forget``, R in ``retain``, both in random order.

    A retained triple's sampled item is one of the retain set, so that no forgotten content reaches the loss
    that is left.
    """

    forget: Batch
    retain: Batch

    @property
    def size(self) -> int:
        """n = |D|, by which every sum is divided."""
        return len(self.forget.users) + len(self.retain.users)


class Sample(NamedTuple):
    """Triples that stand for a larger set: ``weight`` times their sum estimates its sum."""

    triples: Batch
    weight: float


def fixed_triples(problem: Problem) -> FixedTriples:
    """Draw them. Raises ``ValueError`` where the forget set or the retain set is empty."""
    return FixedTriples(whole_pass(problem.forget_sampler()), whole_pass(problem.retain_sampler()))


def first(triples: Batch, count: int | None) -> Sample:
    """The first ``count`` of triples in random order (None: all), weighted up to their number."""
    total = len(triples.users)
    if count is None or count >= total:
        return Sample(triples, 1.0)
    return Sample(Batch(*(ids[:count] for ids in triples)), total / count)


def where(triples: Batch, mask: Tensor) -> Batch:
    """The triples that ``mask`` [B] marks."""
    return Batch(*(ids[mask] for ids in triples))


def shuffled_union(triples: FixedTriples, generator: torch.Generator) -> Batch:
    """All triples of D in random order."""
    both = [torch.cat(columns) for columns in zip(triples.forget, triples.retain, strict=True)]
    order = torch.randperm(triples.size, generator=generator, device=both[0].device)
    return Batch(*(column[order] for column in both))

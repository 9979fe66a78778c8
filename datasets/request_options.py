"""What a deletion request asks for. Light on purpose: no torch, so that configs are checked fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

Sampler = Literal["random", "core", "edge"]


@dataclass(frozen=True)
class RequestOptions:
    """Which users, items or training pairs must be forgotten.

    ``file`` wins over ``count``, and ``count`` over ``ratio``; at least one of them must be given.
    """

    name: str = "user"
    """A registered regime (``datasets.regimes``)."""
    ratio: Annotated[float, Field(gt=0, lt=1)] | None = 0.05
    """Share of the users, items or pairs of the training split; TRU's setting is not stated, 5 % is
    CURE4Rec's default."""
    count: Annotated[int, Field(ge=1)] | None = None
    """How many users, items or pairs; wins over ``ratio``."""
    sampler: Sampler = "random"
    """``core``: the most active first, ``edge``: the least active first (CURE4Rec). Activity is the
    number of training pairs; that of a pair is its user's. Ties are broken by the seed."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Forget seed. Independent of the training seed: every training seed faces the same request."""
    file: str | None = None
    """CSV or JSON list of exactly what to forget (datasets.request_files); wins over the draw."""

"""Options of audits, where more than one file needs them. Light on purpose: no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

Ratio = Annotated[float, Field(ge=1, allow_inf_nan=False)]


@dataclass(frozen=True)
class AuditOptions:
    """No options: what an audit has that states none, and the base of all others."""


@dataclass(frozen=True)
class MembershipOptions(AuditOptions):
    """The knobs of the score attack (``bench.audits.membership.score``). All defaults are ours."""

    folds: Annotated[int, Field(ge=2)] = 5
    """Folds of the cross-fitting; all pairs of a user (of an item) are in one fold."""

    ratio: Ratio = 2.0
    """How far a member and its non-member may be apart in what they are matched on, as a ratio of counts
    plus one: a member without such a partner is left out."""

    sampled_items: Annotated[int, Field(ge=1)] = 100
    """Items over which the margin of a pair is taken."""

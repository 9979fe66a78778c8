"""The one rule by which a candidate is chosen, the same for every method: it sees validation figures only.

Two figures of a candidate count, both without a validation or test label of the forget set:

- forget recall@20: forgotten pairs as targets, ranked against all items, retained training pairs
  masked. Its target is gold's, and both of its sides are distances: what a retrained model cannot
  know must be gone, and forgetting below gold is a trace as well.
- valid recall@20: validation pairs of the retain set as targets, retained training pairs masked.

The rule: among the candidates whose forget recall is within tolerance of gold's, the one with the
best validation recall. If none is within tolerance, the one whose forget recall is closest to gold's,
ties by validation recall, and the choice says that it is not within. Remaining ties go to the earlier
candidate.

Figures of a wrecked model can be near gold's by accident. ``floor`` sets candidates apart whose validation
recall is below that share of gold's: they are chosen only where no other is left.
No torch in here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

ROUNDING = 1e-9
"""A candidate on an edge of the rule is inside, whatever the last bits of a mean say."""
DIVERGED_SCORE = -3.0
"""Below every score of a candidate that could be measured."""


@dataclass(frozen=True)
class Rule:
    """The options of the rule. All defaults are ours."""

    above: Annotated[float, Field(ge=0, le=1)] = 0.005
    """How far a candidate's forget recall may lie above gold's."""
    below: Annotated[float, Field(ge=0, le=1)] = 0.02
    """And how far below."""
    floor: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Share of gold's validation recall below which a candidate counts as wrecked; 0: none does."""


@dataclass(frozen=True)
class Figures:
    """The only figures that selection sees."""

    valid_recall: float
    forget_recall: float


@dataclass(frozen=True)
class Candidate:
    """What selection knows of a candidate: its position in the order of trial, and its two figures."""

    number: int
    valid_recall: float
    forget_recall: float


@dataclass(frozen=True)
class Selected:
    """The chosen candidate, and whether its forget recall is within tolerance of gold's."""

    candidate: Candidate
    within: bool


def is_within(candidate: Candidate, gold: Figures, rule: Rule) -> bool:
    """Whether the candidate's forget recall is within tolerance of gold's."""
    excess = candidate.forget_recall - gold.forget_recall
    return -rule.below - ROUNDING <= excess <= rule.above + ROUNDING


def score(candidate: Candidate, gold: Figures, rule: Rule) -> float:
    """The rule as one number to maximise: validation recall within tolerance, else minus the distance.

    Wrecked candidates lie below all others, at minus 1 minus the distance.
    """
    if candidate.valid_recall < rule.floor * gold.valid_recall - ROUNDING:
        return -1.0 - distance(candidate, gold)
    if is_within(candidate, gold, rule):
        return candidate.valid_recall
    return -distance(candidate, gold)


def select(candidates: Sequence[Candidate], gold: Figures, rule: Rule) -> Selected:
    """Apply the rule. Raises ``ValueError`` without a candidate."""
    if not candidates:
        raise ValueError("there is no candidate to choose from")
    best = max(
        candidates,
        key=lambda c: (score(c, gold, rule), c.valid_recall, -c.number),
    )
    return Selected(best, is_within(best, gold, rule))


def front(candidates: Sequence[Candidate], gold: Figures) -> list[Candidate]:
    """The trade-off front: no other candidate has at least as good figures and a better one.

    Better means a higher validation recall and a forget recall closer to gold's.
    """

    def beats(one: Candidate, other: Candidate) -> bool:
        figures = [(c.valid_recall, -distance(c, gold)) for c in (one, other)]
        return figures[0] != figures[1] and all(a >= b for a, b in zip(*figures, strict=True))

    return [c for c in candidates if not any(beats(other, c) for other in candidates)]


def has_forgotten(forget: float, original: float, gold: float) -> bool:
    """Whether a forget recall went at least half of the way from the original's to gold's.

    A method that does not forget saves no time: it does not do the work (our rule).
    """
    return forget <= (max(original, gold) + gold) / 2 + ROUNDING


def distance(candidate: Candidate, gold: Figures) -> float:
    """Between a candidate's forget recall and gold's."""
    return abs(candidate.forget_recall - gold.forget_recall)

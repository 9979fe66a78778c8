"""The one rule by which a candidate is chosen, the same for every method: it sees validation figures only.

Two figures of a candidate count, both without a test label:

- forget recall@20: forgotten pairs as targets, ranked against all items, retained training pairs masked.
- valid recall@20: validation pairs of the retain set as targets, retained training pairs masked.

Both are aimed at, and a figure beyond its aim is as far from it as one short of it. What is chosen has the
least loss, the earlier candidate where two are equal:

    |forget - aim| / unit of forget  +  |valid - aim| / unit of valid

Under ``target=gold`` the aims are the means of gold models of the same request over training seeds, the
units their standard deviations. That takes gold's forget recall, which nobody has who wants to be spared
retraining: **oracle tuning**. ``target=proxy`` takes no gold model: **gold-free tuning**
(``bench/tune/trial.py``).

Figures of a wrecked model can be near the aims by accident. ``floor`` sets candidates apart whose validation
recall is below that share of its aim: they are chosen only where no other is left.
No torch in here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Annotated, Literal

from pydantic import Field

from datasets.errors import InputError

ROUNDING = 1e-9
"""A candidate on an edge of the rule is inside, whatever the last bits of a mean say."""
WRECKED, DIVERGED_LOSS = 1e6, 1e9
"""What a wrecked candidate's loss has on top, and the loss of one that could not be measured."""
LABELS = {"gold": "oracle tuning", "proxy": "gold-free tuning"}
"""What choosing by each target is called, wherever its choice is shown."""

Unit = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True)
class Rule:
    """The options of the rule. All defaults are ours."""

    target: Literal["gold", "proxy"] = "gold"
    """What is aimed at: ``gold`` models of the request (oracle tuning), or what can be known without
    them (gold-free tuning)."""
    target_seeds: Annotated[int, Field(ge=5)] = 5
    """Training seeds over which aims are averaged and units taken: that of the tune and those after it."""
    valid_unit: Unit | None = None
    """Unit of validation recall; null: the standard deviation over ``target_seeds``. A stated unit
    goes with the other one, and the aims are then those of the tune's own training seed."""
    forget_unit: Unit | None = None
    """Unit of forget recall, likewise."""
    least_unit: Unit = 0.0005
    """Units that are measured are no smaller: where gold never ranks a withdrawn item, its forget recall is
    0 for every seed, and so is its standard deviation."""
    floor: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Share of the aim of validation recall below which a candidate counts as wrecked; 0: none does."""

    def check(self) -> None:
        """Raise ``InputError`` where one unit is stated without the other."""
        if (self.valid_unit is None) != (self.forget_unit is None):
            missing = "valid_unit" if self.valid_unit is None else "forget_unit"
            raise InputError(f"{missing} is null while the other unit is stated: state both or neither.")

    @property
    def label(self) -> str:
        """What choosing by this rule is called."""
        return LABELS[self.target]

    @property
    def seeds(self) -> int:
        """Of how many training seeds models are needed for aims and units."""
        return self.target_seeds if self.valid_unit is None else 1

    @property
    def units_in_words(self) -> str:
        """Where the units come from."""
        if self.valid_unit is not None:
            return "stated"
        what = "gold" if self.target == "gold" else "what stands in for gold"
        return f"standard deviations of {what} over {self.target_seeds} seeds, at least {self.least_unit:g}"


@dataclass(frozen=True)
class Figures:
    """The only figures that selection sees."""

    valid_recall: float
    forget_recall: float


@dataclass(frozen=True)
class Target:
    """What candidates are held against: aims, the units of distances from them, and the measured standard
    deviations over seeds (None of a single seed), which a unit exceeds only as ``least_unit``."""

    aim: Figures
    unit: Figures
    spread: Figures | None


@dataclass(frozen=True)
class Candidate:
    """What selection knows of a candidate: its position in the order of trial, and its two figures."""

    number: int
    valid_recall: float
    forget_recall: float


@dataclass(frozen=True)
class Selected:
    """The chosen candidate, its loss, and whether every candidate was wrecked, so that this one is."""

    candidate: Candidate
    loss: float
    wrecked: bool


def target_of(models: Sequence[Figures], rule: Rule, forget_aim: float | None = None) -> Target:
    """Aims and units from one model per training seed.

    Args:
        models: figures of each; as many as ``rule.seeds``.
        forget_aim: in place of their mean forget recall.
    """
    valid, forget = [m.valid_recall for m in models], [m.forget_recall for m in models]
    aim = Figures(fmean(valid), fmean(forget) if forget_aim is None else forget_aim)
    if rule.valid_unit is not None and rule.forget_unit is not None:
        return Target(aim, Figures(rule.valid_unit, rule.forget_unit), None)
    spread = Figures(stdev(valid), stdev(forget))
    least = rule.least_unit
    return Target(aim, Figures(max(spread.valid_recall, least), max(spread.forget_recall, least)), spread)


def is_wrecked(candidate: Candidate, target: Target, rule: Rule) -> bool:
    """Whether the candidate's validation recall is below the floor."""
    return candidate.valid_recall < rule.floor * target.aim.valid_recall - ROUNDING


def loss(candidate: Candidate, target: Target, rule: Rule) -> float:
    """The rule as one number to minimise: the distances from both aims, each in its unit, added up."""
    aim, unit = target.aim, target.unit
    forget = abs(candidate.forget_recall - aim.forget_recall) / unit.forget_recall
    valid = abs(candidate.valid_recall - aim.valid_recall) / unit.valid_recall
    return forget + valid + (WRECKED if is_wrecked(candidate, target, rule) else 0.0)


def select(candidates: Sequence[Candidate], target: Target, rule: Rule) -> Selected:
    """Apply the rule. Raises ``ValueError`` without a candidate."""
    if not candidates:
        raise ValueError("there is no candidate to choose from")
    best = min(candidates, key=lambda c: (loss(c, target, rule), c.number))
    return Selected(best, loss(best, target, rule), is_wrecked(best, target, rule))


def front(candidates: Sequence[Candidate], aim: Figures) -> list[Candidate]:
    """The trade-off front: no other candidate has at least as good figures and a better one.

    Better means a higher validation recall and a forget recall closer to its aim.
    """

    def beats(one: Candidate, other: Candidate) -> bool:
        figures = [(c.valid_recall, -distance(c, aim)) for c in (one, other)]
        return figures[0] != figures[1] and all(a >= b for a, b in zip(*figures, strict=True))

    return [c for c in candidates if not any(beats(other, c) for other in candidates)]


def has_forgotten(forget: float, original: float, gold: float) -> bool:
    """Whether a forget recall went at least half of the way from the original's to gold's.

    A method that does not forget saves no time: it does not do the work (our rule).
    """
    return forget <= (max(original, gold) + gold) / 2 + ROUNDING


def distance(candidate: Candidate, aim: Figures) -> float:
    """Between a candidate's forget recall and its aim."""
    return abs(candidate.forget_recall - aim.forget_recall)

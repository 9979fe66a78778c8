"""What is injected into a data set before training. Light on purpose: no torch, no NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

Poison = Literal["none", "backdoor", "spam"]
Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class PoisonOptions:
    """Fake users to inject. TRU tests poisoning without stating any of these: all defaults are ours.

    The fake users get new ids after the real ones and training pairs only (``datasets.poison``).
    """

    name: Poison = "none"
    """``backdoor``: a trigger set of items leads to a target item. ``spam``: a bandwagon attack, popular
    items carry target items to everybody. ``none``: the data as it is."""
    ratio: Share = 0.01
    """Fake users in units of the real users with a training pair; 1 % is ERASE's default for spam. At least
    as many as every target needs to be carried once."""
    targets: Annotated[int, Field(ge=1)] = 1
    """Target items, drawn from the cold ones and carried by equally many fake users; 10 is ERASE's number
    for spam. They are what an attack's success is counted over."""
    targets_per_user: Annotated[int, Field(ge=1)] = 1
    """Target items of one fake user; of those of his trigger set, where there is one."""
    triggers: Annotated[int, Field(ge=1)] = 1
    """``backdoor``: disjoint trigger sets, at most one per target. Target j belongs to the trigger set
    j mod triggers."""
    cold_share: Share = 0.2
    """Targets come from this share of the items with a training pair, the least popular (ERASE: 20 %)."""
    popular_share: Share = 0.2
    """``spam``: the other items of a fake user come from this share, the most popular (ERASE: 20 %).
    ``backdoor``: no trigger item comes from it."""
    trigger_items: Annotated[int, Field(ge=1)] = 5
    """``backdoor``: size of a trigger set, drawn from the items that are neither cold nor popular."""
    held_out: Annotated[int, Field(ge=1)] = 200
    """``backdoor``: fake users with a trigger set but without a target, at least one per set. They are in the
    training data, are never asked to be forgotten, and are those on whom the attack is tried out."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the injection, independent of every other seed."""

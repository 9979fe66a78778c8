"""The overrides of a cell, read: the options that they state, and what that is in a few words.

Cells of a sweep over an option have the same data set, backbone, regime, method and seed. What tells them
apart goes with each cell as ``variant``: into the plan, the table at the end, and the names of runs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.config.overrides.grammar import parsed

GROUPS = ("dataset", "poison", "backbone", "regime", "method", "train", "repair", "evaluate", "audit")
"""Groups whose options say what is run or measured; others say where and how."""
REQUEST = "regime.seed"
"""The label ``request`` shows it."""
TUNED = {"gold": "oracle-tuned", "proxy": "gold-free-tuned"}
"""What a cell is whose options a tune chose, by what that tune aimed at."""
LONGEST = 120
"""Letters of a variant; what is beyond is cut off, and MLflow's parameters have it all."""


def stated_options(overrides: Sequence[str]) -> list[str]:
    """Options of the method that these overrides give a value."""
    keys = [parsed(text).key_or_group for text in overrides]
    return [key.removeprefix("method.") for key in keys if key.startswith("method.")]


def variant_of(overrides: Sequence[str], tuned: str = "") -> str:
    """E.g. ``epochs=2 train.batch_size=512``; options of the method go without its group.

    Args:
        overrides: of one cell, without those that a tuned file added.
        tuned: what the tune of a tuned file that added some aimed at, "" without one.
    """
    read = [parsed(text) for text in overrides]
    stated = {one.key_or_group: one.get_value_element_as_str() for one in read if _tells(one.key_or_group)}
    words = [f"{key.removeprefix('method.')}={value}" for key, value in stated.items() if "${" not in value]
    text = " ".join([*words, *([TUNED[tuned]] if tuned else [])])
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def as_override(variant: str) -> list[str]:
    """What tells a job its variant; nothing where there is none."""
    if not variant:
        return []
    # Hydra reads a backslash as itself but where it stands before a quote.
    escaped = re.sub(r"(\\*)'", lambda found: f"{found[1] * 2}\\'", variant)
    ending = re.search(r"\\*$", variant)
    return [f"variant='{escaped}{ending[0] if ending else ''}'"]


def distinguishing(variants: Sequence[str]) -> list[str]:
    """Of several variants, what is not common to all."""
    common = set.intersection(*(set(text.split()) for text in variants)) if variants else set()
    return [" ".join(word for word in text.split() if word not in common) for text in variants]


def _tells(key: str) -> bool:
    group, _, option = key.partition(".")
    return bool(option) and group in GROUPS and key != REQUEST

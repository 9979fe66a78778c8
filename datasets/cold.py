"""Held-out pairs of users and items that have no training pair.

A user without one is unknown to every model: nothing can be predicted from nothing. Its validation and
test pairs are dropped when a data set is read, as MMRec drops them (``filter_out_cod_start_users``). An item
without one stays a target: a backbone with content can rank it, and MMRec keeps it as well. The rule looks
at the data as they were before any request, so that every model of a setting is held against the same
targets: a user who loses all pairs to a request keeps them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from datasets.errors import InputError
from datasets.interactions import RawDataset


def without_cold_users(raw: RawDataset, name: str) -> RawDataset:
    """The data set called ``name`` without held-out pairs of users that have no training pair.

    Raises ``InputError`` where that leaves an empty split.
    """
    kept = {split: pairs[:, ~cold] for split, pairs, cold in _held_out(raw, 0)}
    for split, pairs in kept.items():
        if pairs.shape[1] == 0:
            raise InputError(
                f"dataset={name}: no user of the {split} split has a training pair: split the data anew."
            )
    return replace(raw, valid=kept["valid"], test=kept["test"])


def cold_pairs(raw: RawDataset) -> dict[str, int]:
    """Held-out pairs without a training pair of their user or item: ``<split>_of_cold_<users or items>``."""
    return {
        f"{split}_of_cold_{side}": int(cold.sum())
        for row, side in enumerate(("users", "items"))
        for split, _, cold in _held_out(raw, row)
    }


def _held_out(raw: RawDataset, row: int) -> list[tuple[str, NDArray[np.int64], NDArray[np.bool_]]]:
    """Name and pairs of the held-out splits, and which pairs have a cold user (row 0) or item (row 1)."""
    known = np.zeros((raw.num_users, raw.num_items)[row], dtype=np.bool_)
    known[raw.train[row]] = True
    return [(split, pairs, ~known[pairs[row]]) for split, pairs in (("valid", raw.valid), ("test", raw.test))]

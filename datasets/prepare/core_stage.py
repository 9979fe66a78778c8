"""Filtered, split and renumbered pairs: what the ``.inter`` file and the id maps are written from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import InputError
from datasets.prepare.k_core import Core, Mask, k_core
from datasets.prepare.pair_files import Chunk, PairFiles, PairWriter
from datasets.prepare.sources.options import FilterOptions, SplitOptions
from datasets.splits import (
    TEST,
    TRAIN,
    VALID,
    leave_one_out_labels,
    per_user_labels,
    temporal_labels,
    time_cuts,
)

USERS_PER_CHUNK = 50_000
"""Fixed: the random split draws per chunk of users, so another size would be another split."""

NAMES = {TRAIN: "train", VALID: "valid", TEST: "test"}


def filter_and_split(
    coded: PairFiles, num_users: int, items: Mask, filters: FilterOptions, split: SplitOptions, folder: Path
) -> dict[str, Any]:
    """Write the split pairs to ``folder/pairs`` and, in the order of their new numbers, the old numbers of
    users and items to ``folder/users.npy`` and ``folder/items.npy``. Returns the counts.

    Args:
        coded: distinct pairs.
        num_users: size of the old user ids.
        items: which items may stay [num_items].
        filters: the k of the k-core.
        split: how to split.
        folder: an empty folder.

    Raises:
        InputError: if nothing is left, or a split is empty.
    """
    core = k_core(coded, num_users, items, filters.k_core)
    pairs = _compacted(coded, core, folder / "core")
    if pairs.count == 0:
        raise InputError(f"--k-core {filters.k_core} leaves no pair: lower it.")
    users_left, items_left = np.flatnonzero(core.users), np.flatnonzero(core.items)
    counts: dict[str, Any] = {"k_core_rounds": core.rounds, "pairs_in_the_core": pairs.count}
    counts |= {"users_in_the_core": len(users_left), "items_in_the_core": len(items_left)}
    labelled = _labelled(pairs, split, folder / "labelled")
    train = _train_core(labelled, len(users_left), len(items_left))
    cold = sum(int((~_stays(train)(chunk)).sum()) for chunk in labelled.chunks())
    counts["cold_pairs"] = cold
    if split.cold_pairs == "drop" and cold:
        labelled = _compacted(labelled, train, folder / "warm", _stays(train))
        users_left, items_left = users_left[train.users], items_left[train.items]
    labelled.folder.rename(folder / "pairs")
    np.save(folder / "users.npy", users_left)
    np.save(folder / "items.npy", items_left)
    final = PairFiles(folder / "pairs", labelled.columns, labelled.count)
    return counts | _split_counts(final, split) | {"users": len(users_left), "items": len(items_left)}


def _compacted(
    pairs: PairFiles, core: Core, folder: Path, stays: Callable[[Chunk], Mask] | None = None
) -> PairFiles:
    """The pairs that stay, with users and items renumbered in their old order."""
    users, items = np.cumsum(core.users) - 1, np.cumsum(core.items) - 1
    with PairWriter(folder, pairs.columns) as writer:
        for chunk in pairs.chunks():
            kept = (stays or core.keeps)(chunk)
            fewer = {name: column[kept] for name, column in chunk.items()}
            writer.append(fewer | {"user": users[fewer["user"]], "item": items[fewer["item"]]})
    return writer.files


def _labelled(pairs: PairFiles, split: SplitOptions, folder: Path) -> PairFiles:
    label = _labeller(pairs, split)
    with PairWriter(folder, (*pairs.columns, "label")) as writer:
        for number, chunk in enumerate(pairs.user_chunks(USERS_PER_CHUNK)):
            writer.append({**chunk, "label": label(number, chunk)})
    return writer.files


def _labeller(pairs: PairFiles, split: SplitOptions) -> Callable[[int, Chunk], NDArray[np.int8]]:
    """Labels of a chunk, by its number and content."""

    def users(chunk: Chunk) -> NDArray[np.int64]:
        ids: NDArray[np.int64] = (chunk["user"] - chunk["user"][0]).astype(np.int64)
        return ids

    if split.name == "random":
        return lambda n, chunk: per_user_labels(users(chunk), np.random.default_rng([split.seed, n]))
    if split.name == "leave_one_out":
        return lambda _, chunk: leave_one_out_labels(users(chunk), chunk["time"], chunk["order"])
    cuts = time_cuts(pairs.column("time"), split.valid_share, split.test_share)
    return lambda _, chunk: temporal_labels(chunk["time"], cuts)


def _train_core(pairs: PairFiles, num_users: int, num_items: int) -> Core:
    """The users and items that have a training pair."""
    users, items = np.zeros(num_users, dtype=bool), np.zeros(num_items, dtype=bool)
    for chunk in pairs.chunks():
        train = chunk["label"] == TRAIN
        users[chunk["user"][train]] = True
        items[chunk["item"][train]] = True
    return Core(users, items, 0)


def _stays(train: Core) -> Callable[[Chunk], Mask]:
    """Which pairs are in training or have a user and an item that are."""
    return lambda chunk: (chunk["label"] == TRAIN) | train.keeps(chunk)


def _split_counts(pairs: PairFiles, split: SplitOptions) -> dict[str, int]:
    totals = np.zeros(len(NAMES), dtype=np.int64)
    for chunk in pairs.chunks():
        totals += np.bincount(chunk["label"], minlength=len(NAMES))
    for label, name in NAMES.items():
        if totals[label] == 0:
            raise InputError(
                f"--split {split.name} leaves the {name} split empty: take more data, or another split."
            )
    return {name: int(totals[label]) for label, name in NAMES.items()}

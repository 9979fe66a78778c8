"""Checks that hold for every data set, and the counts that describe one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.cold import cold_pairs
from datasets.errors import InputError
from datasets.interactions import RawDataset
from datasets.size import check_size

SPLITS = ("train", "valid", "test")

CHUNK_VALUES = 1 << 24
"""Feature values looked at in one go, so that a memory-mapped array stays on disk."""


@dataclass(frozen=True)
class DataSummary:
    """Counts of a data set; ``dataclasses.asdict`` of it is JSON-able."""

    num_users: int
    num_items: int
    train: int
    valid: int
    test: int
    users_without_train: int
    items_without_train: int
    features: dict[str, list[int]] = field(default_factory=dict)
    """[rows, columns] of the feature array by modality."""
    item_graphs: dict[str, int] = field(default_factory=dict)
    """Stored entries of the item graph by modality."""
    zero_feature_rows: dict[str, int] = field(default_factory=dict)
    """Items without content (an all-zero row) by modality."""
    valid_of_cold_users: int = 0
    test_of_cold_users: int = 0
    """Held-out pairs of users without a training pair: dropped (``datasets.cold``), but counted in ``valid``
    and ``test``."""
    valid_of_cold_items: int = 0
    test_of_cold_items: int = 0
    """Held-out pairs of items without a training pair: kept."""


def check(raw: RawDataset, name: str) -> None:
    """Raise ``InputError`` with the first defect of the data set called ``name``."""
    check_size(raw.num_users, raw.num_items, f"dataset={name}")
    for split in SPLITS:
        _check_pairs(raw, split, name)
    _check_distinct(raw, name)
    _check_negatives(raw, name)
    for modality, features in raw.features.items():
        _check_features(features, raw.num_items, f"dataset={name}: the features of modality {modality}")
    for modality, graph in raw.item_graphs.items():
        what = f"dataset={name}: the item graph of modality {modality}"
        if graph.shape != (raw.num_items, raw.num_items):
            raise InputError(
                f"{what} has shape {tuple(graph.shape)}, but there are {raw.num_items} items: "
                "rebuild it for this data set or remove it."
            )
        if not _finite(graph.data).all():
            raise InputError(
                f"{what} holds NaN or infinite similarities, or some beyond float32: rebuild it or remove it."
            )


def summarise(raw: RawDataset) -> DataSummary:
    """Count what a checked data set holds."""
    return DataSummary(
        num_users=raw.num_users,
        num_items=raw.num_items,
        train=raw.train.shape[1],
        valid=raw.valid.shape[1],
        test=raw.test.shape[1],
        users_without_train=_absent(raw.train[0], raw.num_users),
        items_without_train=_absent(raw.train[1], raw.num_items),
        features={m: [int(n) for n in x.shape] for m, x in sorted(raw.features.items())},
        item_graphs={m: int(g.nnz) for m, g in sorted(raw.item_graphs.items())},
        zero_feature_rows={m: _zero_rows(x) for m, x in sorted(raw.features.items())},
        **cold_pairs(raw),
    )


def _check_pairs(raw: RawDataset, split: str, name: str) -> None:
    pairs = getattr(raw, split)
    if pairs.shape[1] == 0:
        raise InputError(f"dataset={name}: the {split} split is empty: pairs are needed in all three.")
    for ids, size, kind in zip(pairs, (raw.num_users, raw.num_items), ("user", "item"), strict=True):
        low, high = int(ids.min()), int(ids.max())
        if low < 0:
            raise InputError(f"dataset={name}: the {split} split has the {kind} id {low}: ids start at 0.")
        if high >= size:
            raise InputError(
                f"dataset={name}: the {split} split has the {kind} id {high}, but there are {size} {kind}s: "
                "use dense ids from 0."
            )


def _check_distinct(raw: RawDataset, name: str) -> None:
    """A pair may occur once over all splits: in two of them it would leak from train to test."""
    keys = np.concatenate([p[0] * raw.num_items + p[1] for p in (raw.train, raw.valid, raw.test)])
    keys.sort()
    repeated = keys[1:][keys[1:] == keys[:-1]]
    if repeated.size:
        user, item = divmod(int(repeated[0]), raw.num_items)
        raise InputError(
            f"dataset={name}: the pair of user {user} and item {item} occurs more than once "
            f"({repeated.size} repetitions in all): keep each pair in one split only."
        )


def _check_negatives(raw: RawDataset, name: str) -> None:
    """Training draws an item that a user does not have: there must be one for every user."""
    counts = np.bincount(raw.train[0], minlength=raw.num_users)
    if counts.max() >= raw.num_items:
        raise InputError(
            f"dataset={name}: user {int(counts.argmax())} has every one of the {raw.num_items} items in the "
            "train split, so no negative item can be drawn: remove the user, or some pairs."
        )


def _check_features(features: NDArray[Any], num_items: int, what: str) -> None:
    if features.ndim != 2 or features.dtype.kind not in "fiu":
        raise InputError(
            f"{what} have {features.ndim} dimensions and type {features.dtype}: "
            "give a two-dimensional array of real numbers, one row per item."
        )
    if len(features) != num_items:
        raise InputError(
            f"{what} have {len(features)} rows, but there are {num_items} items: give one row per item id."
        )
    if not features.shape[1]:
        raise InputError(f"{what} have no columns: give at least one number per item, or remove the file.")
    for start, rows in _chunks(features):
        bad = ~_finite(rows).all(axis=1)
        if bad.any():
            raise InputError(
                f"{what} hold NaN or infinite values in row {start + int(bad.argmax())}, or some beyond "
                "float32: replace them (zeros mean that the item has no content)."
            )


def _finite(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values are finite in float32, in which everything is computed."""
    with np.errstate(over="ignore"):
        return np.isfinite(np.asarray(values, dtype=np.float32))


def _zero_rows(features: NDArray[Any]) -> int:
    return sum(int((~rows.any(axis=1)).sum()) for _, rows in _chunks(features))


def _chunks(features: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    step = max(1, CHUNK_VALUES // max(1, features.shape[1]))
    for start in range(0, len(features), step):
        yield start, np.asarray(features[start : start + step])


def _absent(ids: NDArray[np.int64], size: int) -> int:
    return size - int(np.count_nonzero(np.bincount(ids, minlength=size)))

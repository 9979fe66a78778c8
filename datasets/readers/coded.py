"""Interactions with texts as ids, read into memory with the checks and the numbering of ``prepare``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datasets.errors import InputError
from datasets.item_text import ItemText
from datasets.prepare.coding import code_pairs, read_ids
from datasets.prepare.duck import connection
from datasets.prepare.rows import write_rows
from datasets.prepare.sources.base import Source
from datasets.prepare.sources.options import FilterOptions, ItemOptions
from datasets.prepare.texts import texts_of, write_texts
from datasets.splits import leave_one_out_labels, per_user_labels, temporal_labels, time_cuts

MEMORY_GIB = 4.0

SplitName = Literal["random", "leave_one_out", "temporal"]


@dataclass(frozen=True)
class CodedPairs:
    """Distinct pairs, sorted by user and item.

    ``users``, ``items``: int64 [E]; ``times``: float64 [E] or None; ``order``: place among the rows of all
    files, int64 [E]; ``user_ids``, ``item_ids``: own ids in the order of their numbers; ``file_sizes``:
    rows of each file.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    times: NDArray[np.float64] | None
    order: NDArray[np.int64]
    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    file_sizes: tuple[int, ...]


COMMAND_TO_READER = {
    ", or leave ratings out with --rating-column none": "",
    ", or leave times out with --time-column none": "",
    ", or take the first with --items-duplicates first": "",
    ", or state another --format": "",
    "--duplicates first or last": "dataset.duplicates=first or last",
    "--min-rating ": "dataset.min_rating=",
    "--user-column": "dataset.user_field",
    "--item-column": "dataset.item_field",
    "--rating-column": "dataset.rating_field",
    "--time-column": "dataset.time_field",
}
"""Remedies of the command line, as options of the readers."""


@contextmanager
def in_words_of_readers() -> Iterator[None]:
    """Name the options of readers, not those of the command line, in what goes wrong inside."""
    try:
        yield
    except InputError as error:
        message = str(error)
        for command, reader in COMMAND_TO_READER.items():
            message = message.replace(command, reader)
        raise InputError(message) from error


def read_pairs(sources: Sequence[Source], filters: FilterOptions) -> CodedPairs:
    """Read files of interactions. Raises ``InputError`` naming file, row and value of what does not fit."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with connection(folder, MEMORY_GIB, None) as opened:
            rows = []
            for place, source in enumerate(sources):
                (folder / str(place)).mkdir()
                rows.append(write_rows(opened, source, folder / str(place)))
            pairs = code_pairs(opened, rows, filters, folder).pairs
        times = np.array(pairs.column("time")) if "time" in pairs.columns else None
        return CodedPairs(
            users=pairs.column("user").astype(np.int64),
            items=pairs.column("item").astype(np.int64),
            times=times,
            order=np.array(pairs.column("order")),
            user_ids=tuple(read_ids(folder, "user")),
            item_ids=tuple(read_ids(folder, "item")),
            file_sizes=tuple(one.count for one in rows),
        )


def read_texts(options: ItemOptions, item_ids: Sequence[str]) -> tuple[ItemText, ...]:
    """The text of every item. Raises ``InputError`` naming file, line and value of what does not fit."""
    with tempfile.TemporaryDirectory() as scratch, in_words_of_readers():
        write_texts(options, np.array(item_ids, dtype=object), Path(scratch))
        return tuple(texts_of(Path(scratch), np.arange(len(item_ids))))


def split_labels(
    pairs: CodedPairs, name: SplitName, seed: int, valid_share: float, test_share: float, where: str
) -> NDArray[np.int8]:
    """Split labels of the pairs (``datasets.splits``). Raises ``InputError`` where times are missing."""
    if name == "random":
        return per_user_labels(pairs.users, np.random.default_rng(seed))
    if pairs.times is None:
        raise InputError(
            f"dataset.split={name} needs times and {where} has none: choose dataset.split=random."
        )
    if name == "leave_one_out":
        return leave_one_out_labels(pairs.users, pairs.times, pairs.order)
    return temporal_labels(pairs.times, time_cuts(pairs.times, valid_share, test_share))


def by_label(pairs: CodedPairs, labels: NDArray[np.int8], label: int) -> NDArray[np.int64]:
    """The pairs [2, E] of one split."""
    chosen = labels == label
    return np.ascontiguousarray(np.stack([pairs.users[chosen], pairs.items[chosen]]))

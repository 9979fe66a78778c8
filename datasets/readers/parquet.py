"""Reader of Parquet files with string ids.

``<data_root>/<folder>/interactions.parquet``: columns ``user``, ``item`` and, for a given split, ``split``
(train, valid, test, or 0, 1, 2); ``timestamp`` for a split by time. ``items.parquet``, optional: ``item``,
the fields of item text (``title``, ``brand``, ``categories`` as a list, ``description``, ``price``), and a
list column ``<modality>_feat`` per modality. Items without an interaction are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from datasets.errors import InputError
from datasets.item_text import ItemText
from datasets.prepare.sources.options import Columns, FilterOptions, ItemOptions, SourceOptions
from datasets.prepare.sources.parquet import column_names, describe
from datasets.readers.coded import (
    CodedPairs,
    in_words_of_readers,
    read_pairs,
    read_texts,
    split_labels,
)
from datasets.readers.own_ids import OwnIdsReader
from datasets.splits import TEST, TRAIN, VALID

LABELS = {"train": TRAIN, "valid": VALID, "test": TEST, "0": TRAIN, "1": VALID, "2": TEST}
ENDING = "_feat"


@dataclass(frozen=True)
class ParquetOptions:
    """Where the files are and how pairs are split."""

    folder: str | None = None
    """Folder below ``data_root``."""
    modalities: tuple[str, ...] | None = None
    """Content to read; null for every column ``<modality>_feat`` of ``items.parquet``."""
    duplicates: Literal["first", "last", "error"] = "error"
    """Which of several rows of one user and item stays, by time where it is read, else by file order."""
    split: Literal["given", "random", "leave_one_out", "temporal"] = "given"
    """``given``: the column ``split``; ``leave_one_out`` and ``temporal`` read the column ``timestamp``."""
    valid_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """``temporal``: share of the pairs for validation."""
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """``temporal``: share of the pairs for test."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the random split."""


class Parquet(OwnIdsReader):
    """Reads ``interactions.parquet`` and ``items.parquet`` of one folder."""

    Options = ParquetOptions
    options: ParquetOptions
    reader, version, layout = "parquet", 1, "Parquet files"

    def modalities(self) -> tuple[str, ...]:
        """Modalities with a feature column, sorted; raises ``InputError`` as ``read``."""
        names = column_names(self._items) if self._items else []
        there = sorted(name.removesuffix(ENDING) for name in names if name.endswith(ENDING))
        for wanted in self.options.modalities or ():
            if wanted not in there:
                raise InputError(
                    f"dataset.modalities names {wanted}, but {self._folder / 'items.parquet'} has no column "
                    f"{wanted}{ENDING}: add it or drop the modality."
                )
        return tuple(sorted(self.options.modalities or there))

    @cached_property
    def _pairs(self) -> CodedPairs:
        timed = self.options.split in ("leave_one_out", "temporal")
        columns = Columns("user", "item", "none", "timestamp" if timed else "none")
        with in_words_of_readers():
            source = describe(self._interactions, SourceOptions((self._interactions,), columns=columns))
            return read_pairs([source], FilterOptions(None, self.options.duplicates))

    @cached_property
    def _labels(self) -> NDArray[np.int8]:
        o, pairs = self.options, self._pairs
        if o.split != "given":
            where = str(self._interactions)
            return split_labels(pairs, o.split, o.seed, o.valid_share, o.test_share, where)
        import pyarrow.parquet as pq

        if "split" not in column_names(self._interactions):
            raise InputError(
                f"{self._interactions} has no column split: add it, or choose dataset.split=random."
            )
        stated = pq.read_table(self._interactions, columns=["split"])["split"].to_pylist()
        for row, label in enumerate(stated, start=1):
            if str(label) not in LABELS:
                raise InputError(
                    f"{self._interactions}, row {row} has the split {label!r}: use train, valid or test."
                )
        return np.array([LABELS[str(label)] for label in stated], dtype=np.int8)[pairs.order]

    def _files(self) -> dict[str, Path]:
        paths = [self._interactions, *([self._items] if self._items else [])]
        return {path.name: path for path in paths}

    def _texts(self, item_ids: tuple[str, ...]) -> tuple[ItemText, ...] | None:
        if self._items is None:
            return None
        return read_texts(ItemOptions((self._items,), "parquet", "item"), item_ids)

    def _features(self, modality: str, item_ids: tuple[str, ...]) -> NDArray[np.float32]:
        """Vectors [num_items, d]; items without a row, or without a vector in it, get zeros."""
        import pyarrow.parquet as pq

        assert self._items is not None
        numbers = {own: number for number, own in enumerate(item_ids)}
        matrix: NDArray[np.float32] | None = None
        table = pq.read_table(self._items, columns=["item", f"{modality}{ENDING}"]).to_pylist()
        for row, record in enumerate(table, start=1):
            number, values = numbers.get(str(record["item"])), record[f"{modality}{ENDING}"]
            if number is None or values is None:
                continue
            where = f"{self._items}, row {row}"
            vector = _vector(values, where, modality)
            if matrix is None:
                matrix = np.zeros((len(item_ids), len(vector)), dtype=np.float32)
            if len(vector) != matrix.shape[1]:
                raise InputError(
                    f"{where} has {len(vector)} values in {modality}{ENDING} and not {matrix.shape[1]}: give "
                    "all items the same number."
                )
            matrix[number] = vector
        if matrix is None:
            raise InputError(f"{self._items} has no vector in {modality}{ENDING}: drop the modality.")
        return matrix

    @cached_property
    def _interactions(self) -> Path:
        path = self._folder / "interactions.parquet"
        if not path.is_file():
            raise InputError(f"{path} is missing: put the file there, or set data_root or LETHE_DATA.")
        return path

    @cached_property
    def _items(self) -> Path | None:
        path = self._folder / "items.parquet"
        return path if path.is_file() else None


def _vector(values: Any, where: str, modality: str) -> NDArray[np.float32]:
    try:
        vector = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        vector = np.empty((0, 0), dtype=np.float32)
    if vector.ndim != 1:
        raise InputError(f"{where} has no list of numbers in {modality}{ENDING}: correct it.")
    return vector

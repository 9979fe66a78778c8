"""Reader of RecBole's atomic files as they are, string ids and all.

``<data_root>/<folder>/<folder>.inter``, or, where the split is given, ``<folder>.train.inter``,
``<folder>.valid.inter`` and ``<folder>.test.inter``; ``<folder>.item`` for item text and features. Users
and items get dense ids in the order of their own ids as texts. Items of the ``.item`` file without an
interaction are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from datasets.errors import InputError
from datasets.item_text import ItemText
from datasets.prepare.item_records import records
from datasets.prepare.sources.options import Columns, FilterOptions, ItemOptions, SourceOptions
from datasets.prepare.sources.recbole import atomic_header, describe
from datasets.readers.coded import (
    CodedPairs,
    in_words_of_readers,
    read_pairs,
    read_texts,
    split_labels,
)
from datasets.readers.own_ids import OwnIdsReader

GIVEN_SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class RecBoleOptions:
    """Where the files are, which fields are read, and how pairs are split."""

    folder: str | None = None
    """Folder below ``data_root``; also the stem of its files."""
    user_field: str = "user_id"
    """RecBole's USER_ID_FIELD."""
    item_field: str = "item_id"
    """RecBole's ITEM_ID_FIELD."""
    rating_field: str | None = None
    """Field of ``min_rating``; null reads no ratings."""
    time_field: str | None = None
    """RecBole's TIME_FIELD, for the splits by time; null reads no times."""
    min_rating: float | None = None
    """Pairs rated lower are dropped; null keeps all."""
    duplicates: Literal["first", "last", "error"] = "error"
    """Which of several rows of one user and item stays, by time where it is read, else by file order."""
    split: Literal["random", "leave_one_out", "temporal"] = "random"
    """Not used where the files are split already."""
    valid_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """``temporal``: share of the pairs for validation."""
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """``temporal``: share of the pairs for test."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the random split."""
    features: dict[str, str] = field(default_factory=dict)
    """By modality: the ``float_seq`` field of the ``.item`` file that holds its vectors."""
    seq_separator: str = " "
    """What separates the values of a sequence field."""


class RecBole(OwnIdsReader):
    """Reads one folder of atomic files."""

    Options = RecBoleOptions
    options: RecBoleOptions
    reader, version, layout = "recbole", 1, "RecBole atomic files"

    def modalities(self) -> tuple[str, ...]:
        """The modalities whose fields the options name, sorted; raises ``InputError`` as ``read``."""
        for modality, name in self.options.features.items():
            types = atomic_header(self._item_file).types if self._item_file else {}
            if types.get(name) != "float_seq":
                raise InputError(
                    f"dataset.features.{modality}={name} is no float_seq field of "
                    f"{self._folder / self._stem}.item: name one."
                )
        return tuple(sorted(self.options.features))

    @cached_property
    def _pairs(self) -> CodedPairs:
        o = self.options
        columns = Columns(o.user_field, o.item_field, o.rating_field or "none", o.time_field or "none")
        with in_words_of_readers():
            sources = [describe(p, SourceOptions((p,), columns=columns)) for p in self._inter_files]
            return read_pairs(sources, FilterOptions(o.min_rating, o.duplicates))

    @cached_property
    def _labels(self) -> NDArray[np.int8]:
        o, pairs = self.options, self._pairs
        if len(self._inter_files) > 1:
            files = np.searchsorted(np.cumsum(pairs.file_sizes), pairs.order, side="right")
            return files.astype(np.int8)
        where = str(self._inter_files[0])
        return split_labels(pairs, o.split, o.seed, o.valid_share, o.test_share, where)

    def _texts(self, item_ids: tuple[str, ...]) -> tuple[ItemText, ...] | None:
        if self._item_file is None:
            return None
        separator = self.options.seq_separator
        options = ItemOptions((self._item_file,), "recbole", self.options.item_field, seq_separator=separator)
        return read_texts(options, item_ids)

    def _features(self, modality: str, item_ids: tuple[str, ...]) -> NDArray[np.float32]:
        """Vectors [num_items, d]; items without a row get zeros."""
        assert self._item_file is not None
        numbers = {own: number for number, own in enumerate(item_ids)}
        name, found = self.options.features[modality], dict[int, NDArray[np.float32]]()
        for line, record in records(self._item_file, "recbole", self.options.seq_separator):
            number = numbers.get(record[self.options.item_field])
            if number is not None:
                found[number] = self._vector(record[name], f"{self._item_file}, line {line}", name)
        columns = {len(vector) for vector in found.values()}
        if len(columns) != 1:
            raise InputError(
                f"{self._item_file} has {len(columns)} different lengths of {name}: give all items one "
                "length."
            )
        matrix = np.zeros((len(item_ids), columns.pop()), dtype=np.float32)
        for number, vector in found.items():
            matrix[number] = vector
        return matrix

    def _vector(self, text: str, where: str, name: str) -> NDArray[np.float32]:
        try:
            return np.array(text.split(self.options.seq_separator), dtype=np.float32)
        except ValueError as error:
            raise InputError(f"{where} has {text[:40]!r} as {name}: write numbers.") from error

    @property
    def _stem(self) -> str:
        return self._folder.name

    @cached_property
    def _inter_files(self) -> list[Path]:
        given = [self._folder / f"{self._stem}.{split}.inter" for split in GIVEN_SPLITS]
        if all(path.is_file() for path in given):
            return given
        whole = self._folder / f"{self._stem}.inter"
        if not whole.is_file():
            names = ", ".join(path.name for path in given)
            raise InputError(f"{whole} is missing, and so is one of {names}: add it.")
        return [whole]

    @cached_property
    def _item_file(self) -> Path | None:
        path = self._folder / f"{self._stem}.item"
        return path if path.is_file() else None

    def _files(self) -> dict[str, Path]:
        paths = [*self._inter_files, *([self._item_file] if self._item_file else [])]
        return {"".join(path.suffixes): path for path in paths}

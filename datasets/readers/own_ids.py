"""What readers of a folder whose files hold the users' and items' own ids as texts have in common."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from datasets.errors import InputError
from datasets.fingerprint import file_digest
from datasets.id_maps import IdMap, IdMaps
from datasets.interactions import RawDataset
from datasets.item_text import ItemText
from datasets.reader import DatasetReader
from datasets.readers.coded import CodedPairs, by_label
from datasets.splits import TEST, TRAIN, VALID


class OwnIdsReader(DatasetReader):
    """Reads one folder below ``data_root``: pairs with their split, and features and text per item.

    Users and items get dense ids in the order of their own ids as texts.
    """

    reader: ClassVar[str]
    """Its name in the registry."""
    version: ClassVar[int]
    """Raised with every change that alters what is read from the same files: it is part of every key."""
    layout: ClassVar[str]
    """What its files are called in a provenance."""

    def identity(self) -> dict[str, Any]:
        """SHA-256 of every file, and the options but the folder's name."""
        options = {k: v for k, v in dataclasses.asdict(self.options).items() if k != "folder"}
        files = {name: file_digest(path, self.digest_memo) for name, path in self._files().items()}
        return {"reader": self.reader, "version": self.version, "files": files, "options": options}

    def id_maps(self) -> IdMaps:
        """The files' own ids."""
        return IdMaps(
            IdMap("user", lambda: self._pairs.user_ids), IdMap("item", lambda: self._pairs.item_ids)
        )

    def read(self) -> RawDataset:
        """Read the folder. Raises ``InputError`` naming file, row and value of what does not fit."""
        pairs, labels = self._pairs, self._labels
        return RawDataset(
            num_users=len(pairs.user_ids),
            num_items=len(pairs.item_ids),
            train=by_label(pairs, labels, TRAIN),
            valid=by_label(pairs, labels, VALID),
            test=by_label(pairs, labels, TEST),
            features={m: self._features(m, pairs.item_ids) for m in self.modalities()},
            item_text=self._texts(pairs.item_ids),
            id_maps=self.id_maps(),
            provenance={"source": f"{self.layout}, folder {self.options.folder}", **self.identity()},
        )

    @cached_property
    def _folder(self) -> Path:
        if not self.options.folder:
            raise InputError(
                f"dataset={self.reader} needs the folder of the files: add dataset.folder=<folder>."
            )
        folder = self.data_root / str(self.options.folder)
        if not folder.is_dir():
            raise InputError(
                f"dataset.folder={self.options.folder} is not below data_root={self.data_root}: put the data "
                "set there, or set data_root or LETHE_DATA."
            )
        return folder

    @cached_property
    @abstractmethod
    def _pairs(self) -> CodedPairs:
        """The distinct pairs."""

    @cached_property
    @abstractmethod
    def _labels(self) -> NDArray[np.int8]:
        """The split of each pair, ``datasets.splits``: [E]."""

    @abstractmethod
    def _files(self) -> dict[str, Path]:
        """Every file that is read, by the name under which its checksum enters the key."""

    @abstractmethod
    def _features(self, modality: str, item_ids: tuple[str, ...]) -> NDArray[np.float32]:
        """Vectors [num_items, d] of a modality; zeros where an item has none."""

    @abstractmethod
    def _texts(self, item_ids: tuple[str, ...]) -> tuple[ItemText, ...] | None:
        """The text of every item; None where the folder holds none."""

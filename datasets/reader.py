"""The contract of a data set reader. Light on purpose: no torch, so that a dry run stays fast."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from datasets.id_maps import IdMaps
from datasets.interactions import RawDataset


class DatasetReader(ABC):
    """Reads one data set.

    A subclass sets ``Options`` to the frozen dataclass that checks its config group
    (``conf/dataset/*.yaml`` without the keys ``name`` and ``reader``).
    """

    Options: ClassVar[type]

    def __init__(self, name: str, options: Any, data_root: Path, digest_memo: Path | None = None) -> None:
        """``digest_memo`` is a file that remembers checksums (``datasets.fingerprint``)."""
        self.name = name
        self.options = options
        self.data_root = data_root
        self.digest_memo = digest_memo

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything that determines the content, JSON-able: options, file checksums, versions.

        Raises ``InputError`` where a required file is missing.
        """

    @abstractmethod
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities this data set offers, sorted; cheap (no array is read)."""

    def id_maps(self) -> IdMaps | None:
        """Maps from the data set's own ids, read when they are first asked; None where ids are dense."""
        return None

    def documents(self) -> tuple[Path, ...]:
        """Files that describe the data set (its card, its provenance), to be kept with results."""
        return ()

    @abstractmethod
    def read(self) -> RawDataset:
        """Read or generate the data set. Raises ``InputError`` naming the file and the defect."""

"""Reader of the layout that MMRec-style projects share.

``<data_root>/<folder>/<folder>.inter`` is tab-separated with a header; the columns ``userID``,
``itemID`` and ``x_label`` (0 train, 1 validation, 2 test) are read, others ignored. Beside it lie
``<modality>_feat.npy`` (row = itemID) and, optionally, ``<modality>_knn10.npz`` (SciPy CSR of the
cosine similarities to the ten nearest items, itself included). ``item_text.jsonl`` or ``item_text.csv``
(``datasets.item_text_files``) and the maps from own ids, ``u_id_mapping.csv`` and ``i_id_mapping.csv``
(``datasets.id_maps``), are read where they are there.

Ids are dense from 0: ``num_items`` is the largest itemID + 1. A feature file with other than
``num_items`` rows is refused, with more rows too: in this layout every item has an interaction, so
such a file belongs to another version of the data and its rows may be shifted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from datasets.errors import InputError, in_short
from datasets.fingerprint import file_digest
from datasets.id_maps import FILES, IdMaps, maps_of
from datasets.interactions import RawDataset
from datasets.item_text_files import NAMES, read_item_text
from datasets.known_files import notes_on
from datasets.reader import DatasetReader
from datasets.size import check_size
from datasets.splits import TEST, TRAIN, VALID

if TYPE_CHECKING:
    import scipy.sparse as sp

COLUMNS = ("userID", "itemID", "x_label")
DEFAULT_MODALITIES = ("image", "text", "audio")
DOCUMENTS = ("card.md", "card.html", "provenance.json")

READER_VERSION = 1
"""Raise it with every change that alters what is read from the same files: it is part of every key."""


@dataclass(frozen=True)
class MMRecOptions:
    """Where the files are and which content to use."""

    folder: Annotated[str, Field(min_length=1)]
    """Folder below ``data_root``; also the stem of the ``.inter`` file."""
    modalities: tuple[str, ...] | None = None
    """Content to read; null for every one of image, text and audio that has a file. A modality that is
    named here must have a feature file or an item graph."""


class MMRec(DatasetReader):
    """Reads one folder of the MMRec layout; feature arrays stay memory-mapped."""

    Options = MMRecOptions
    options: MMRecOptions

    def identity(self) -> dict[str, Any]:
        """SHA-256 of every file that is read, by role; names of folders do not matter."""
        return {"reader": "mmrec", "version": READER_VERSION, "files": self._digests}

    def modalities(self) -> tuple[str, ...]:
        """Modalities with a feature file or an item graph, sorted; raises ``InputError`` as ``read``."""
        wanted = self.options.modalities
        present = {m for m in wanted or DEFAULT_MODALITIES if self._content_files(m)}
        missing = sorted(set(wanted or ()) - present)
        if missing:
            raise InputError(
                f"dataset.modalities names {missing[0]}, but {self._folder} has neither "
                f"{missing[0]}_feat.npy nor {missing[0]}_knn10.npz: add the file or drop the modality."
            )
        return tuple(sorted(present))

    def read(self) -> RawDataset:
        """Read the folder.

        Raises:
            InputError: naming the file and the defect. Content that only ``datasets.validation.check``
                can judge (ranges, duplicates, NaN) is left to it.
        """
        users, items, labels = self._interactions()
        num_users, num_items = int(users.max()) + 1, int(items.max()) + 1
        check_size(num_users, num_items, str(self._inter()))
        names = self.modalities()
        features = {m: _array(self._file(f"{m}_feat.npy")) for m in names if self._has(f"{m}_feat.npy")}
        graphs = {m: _graph(self._file(f"{m}_knn10.npz")) for m in names if self._has(f"{m}_knn10.npz")}
        train, valid, test = (
            np.ascontiguousarray(np.stack([users[labels == s], items[labels == s]]))
            for s in (TRAIN, VALID, TEST)
        )
        return RawDataset(
            num_users=num_users,
            num_items=num_items,
            train=train,
            valid=valid,
            test=test,
            features=features,
            item_graphs=graphs,
            item_text=None if self._text is None else read_item_text(self._text, num_items),
            id_maps=self.id_maps(),
            provenance={
                "source": f"files in the MMRec layout, folder {self._folder.name}",
                **self.identity(),
                "notes": notes_on(self._digests),
            },
        )

    def id_maps(self) -> IdMaps | None:
        """The maps that MMRec's preprocessing leaves beside the interactions."""
        return maps_of(self._folder)

    def documents(self) -> tuple[Path, ...]:
        """The card and the provenance that ``python -m datasets prepare`` leaves beside the interactions."""
        return tuple(self._folder / name for name in DOCUMENTS if self._has(name))

    @cached_property
    def _folder(self) -> Path:
        folder = self.data_root / self.options.folder
        if not self.data_root.is_dir():
            raise InputError(
                f"data_root={self.data_root} is not a folder: set data_root or the environment variable "
                "LETHE_DATA to the folder that holds the data sets."
            )
        if not folder.is_dir():
            raise InputError(
                f"dataset.folder={self.options.folder} is not below data_root={self.data_root}: put the data "
                "set there, or set data_root or LETHE_DATA."
            )
        return folder

    @cached_property
    def _digests(self) -> dict[str, str]:
        names = [n for m in self.modalities() for n in self._content_files(m)]
        files = {"interactions": self._inter(), **{n: self._file(n) for n in sorted(names)}}
        if self._text is not None:
            files["item_text"] = self._text
        if self.id_maps() is not None:
            files |= {name: self._file(name) for name in FILES.values()}
        return {role: file_digest(path, self.digest_memo) for role, path in files.items()}

    @cached_property
    def _text(self) -> Path | None:
        found = [self._folder / name for name in NAMES if self._has(name)]
        if len(found) > 1:
            raise InputError(f"{self._folder} has both {NAMES[0]} and {NAMES[1]}: keep one of them.")
        return found[0] if found else None

    def _inter(self) -> Path:
        return self._file(f"{self._folder.name}.inter")

    def _content_files(self, modality: str) -> list[str]:
        return [n for n in (f"{modality}_feat.npy", f"{modality}_knn10.npz") if self._has(n)]

    def _has(self, name: str) -> bool:
        return (self._folder / name).is_file()

    def _file(self, name: str) -> Path:
        if not self._has(name):
            raise InputError(
                f"{self._folder / name} is missing: put the file there, or set data_root or LETHE_DATA."
            )
        return self._folder / name

    def _interactions(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        path = self._inter()
        users, items, labels = _columns(path)
        for column, ids in (("userID", users), ("itemID", items)):
            if int(ids.min()) < 0:
                raise InputError(
                    f"{path} has the {column} {ids.min()}: ids are integers from 0; renumber them."
                )
        wrong = labels[(labels < TRAIN) | (labels > TEST)]
        if wrong.size:
            raise InputError(
                f"{path} has the x_label {wrong[0]}: use 0 for train, 1 for validation and 2 for test."
            )
        return users, items, labels


def _columns(path: Path) -> tuple[NDArray[np.int64], ...]:
    """The three columns of an ``.inter`` file, each int64 [E]."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline().rstrip("\r\n").split("\t")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 text ({in_short(error)}): unpack it, or save it again as UTF-8."
        ) from error
    missing = [c for c in COLUMNS if c not in header]
    if missing:
        raise InputError(
            f"{path} has no column {missing[0]}: the header must name {', '.join(COLUMNS)}, tab-separated."
        )
    places = [header.index(c) for c in COLUMNS]
    try:
        table = np.loadtxt(
            path, dtype=np.int64, delimiter="\t", skiprows=1, usecols=places, ndmin=2, comments=None
        )
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{path} must hold integers in {', '.join(COLUMNS)}, of at most 64 bits ({in_short(error)})."
        ) from error
    if table.size == 0:
        raise InputError(f"{path} has no rows below its header: add the interactions.")
    return tuple(np.ascontiguousarray(column) for column in table.T)


def _array(path: Path) -> NDArray[Any]:
    try:
        array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # whatever a damaged header makes NumPy raise
        raise InputError(
            f"{path} is not a readable array of numbers ({in_short(error)}): save it again with numpy.save."
        ) from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path} is an archive of arrays, not an array: save the one array with numpy.save.")
    return array


def _graph(path: Path) -> sp.csr_array:
    import scipy.sparse as sp

    try:
        stored = sp.load_npz(path)
        if stored.dtype.kind not in "fiu":
            raise ValueError(f"its values are of type {stored.dtype}, not real numbers")
        if hasattr(stored, "check_format"):
            # Before anything else: SciPy's compiled code follows pointers and indices wherever they lead.
            stored.check_format(full_check=True)
        graph = sp.csr_array(stored)
        graph.sum_duplicates()
    except Exception as error:  # whatever a damaged archive makes NumPy and SciPy raise
        raise InputError(
            f"{path} is not a readable sparse matrix ({in_short(error)}): save it again with "
            "scipy.sparse.save_npz."
        ) from error
    return graph

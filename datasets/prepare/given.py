"""Features that come in a file with the items' own ids.

``.npz`` with the arrays ``ids`` [N] (texts) and ``vectors`` [N, d]; ``.parquet`` with a column of ids and
the list column ``vector``; ``.b``: the visual features of Amazon 2014 (ids of 10 bytes, each followed by
4,096 little-endian float32).
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.errors import InputError
from datasets.features.base import Vectors
from datasets.prepare.item_fields import id_field
from datasets.prepare.sources.beginning import check_is_file
from datasets.prepare.sources.parquet import column_names

AMAZON_ID, AMAZON_COLUMNS = 10, 4096

Row = tuple[str, Vectors]


def check_given(path: Path) -> None:
    """Raise ``InputError`` where there is no file of a known type; reads nothing."""
    check_is_file(path)
    if path.suffix not in READERS:
        raise InputError(f"{path} is of an unknown type: use {', '.join(READERS)}.")


def read_given(path: Path, numbers: Mapping[str, int]) -> tuple[NDArray[np.int64], Vectors]:
    """Item numbers (ascending) and the vectors [n, d] of the items in ``numbers`` that the file has.

    Raises:
        InputError: naming file, row and value of what does not fit, or if no item is in the file.
    """
    found = dict(_rows(path, numbers))
    order = sorted(found)
    return np.array(order, dtype=np.int64), np.stack([found[number] for number in order])


def ids_in(path: Path, numbers: Mapping[str, int]) -> NDArray[np.bool_]:
    """Which items the file has [len(numbers)]. Raises ``InputError`` as ``read_given``."""
    mask = np.zeros(len(numbers), dtype=bool)
    mask[[number for number, _ in _rows(path, numbers)]] = True
    return mask


def _rows(path: Path, numbers: Mapping[str, int]) -> Iterator[tuple[int, Vectors]]:
    """(item number, vector) of the items in ``numbers``, checked."""
    check_given(path)
    seen: set[int] = set()
    columns = None
    for row, (own, vector) in enumerate(READERS[path.suffix](path), start=1):
        number = numbers.get(own)
        if number is None:
            continue
        columns = len(vector) if columns is None else columns
        where = f"{path}, row {row}"
        if number in seen:
            raise InputError(f"{where} gives item {own!r} again: keep one row per item.")
        if len(vector) != columns:
            raise InputError(
                f"{where} has {len(vector)} values for item {own!r} and not {columns}: give all items "
                "the same number of them."
            )
        if not np.isfinite(vector).all():
            raise InputError(f"{where} has NaN or infinite values for item {own!r}: replace them.")
        seen.add(number)
        yield number, vector
    if not seen:
        example = next(iter(numbers), "")
        raise InputError(
            f"{path} has features of none of the {len(numbers)} items, the first of which is {example!r}: "
            "check that both name items alike."
        )


def _from_npz(path: Path) -> Iterator[Row]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            ids, vectors = arrays["ids"], arrays["vectors"]
    except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} does not hold the arrays ids and vectors ({error}): save them so."
        ) from error
    numeric = vectors.ndim == 2 and vectors.dtype.kind in "fiu"
    if ids.dtype.kind not in "Uiu" or not numeric or len(ids) != len(vectors):
        raise InputError(
            f"{path} has {len(ids)} ids of type {ids.dtype} and vectors of shape {vectors.shape} and type "
            f"{vectors.dtype}: give one text per row of a two-dimensional array of numbers."
        )
    for own, vector in zip(ids, vectors, strict=True):
        yield str(own), vector.astype(np.float32)


def _from_parquet(path: Path) -> Iterator[Row]:
    import pyarrow.parquet as pq

    names = column_names(path)
    key = id_field(path, names, None)
    if "vector" not in names:
        raise InputError(f"{path} has no column vector: its columns are {', '.join(names)}.")
    row = 0
    for batch in pq.ParquetFile(path).iter_batches(batch_size=4096, columns=[key, "vector"]):
        for record in batch.to_pylist():
            row += 1
            try:
                vector = np.asarray(record["vector"], dtype=np.float32)
            except (TypeError, ValueError):
                vector = np.empty((0, 0), dtype=np.float32)
            if vector.ndim != 1 or record[key] is None:
                raise InputError(f"{path}, row {row} has no id, or no list of numbers as vector: correct it.")
            yield str(record[key]), vector


def _from_amazon(path: Path) -> Iterator[Row]:
    size = AMAZON_ID + 4 * AMAZON_COLUMNS
    if path.stat().st_size % size:
        raise InputError(
            f"{path} has {path.stat().st_size} bytes, no multiple of {size} (10 for the id and 4,096 "
            "float32): it is cut off, get it again."
        )
    with path.open("rb") as file:
        while record := file.read(size):
            own = record[:AMAZON_ID].decode("ascii", errors="replace")
            yield own, np.frombuffer(record[AMAZON_ID:], dtype="<f4").astype(np.float32)


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".npz": _from_npz,
    ".parquet": _from_parquet,
    ".b": _from_amazon,
}

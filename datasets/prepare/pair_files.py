"""Pairs as columns on disk, gone through in chunks, so that their number is not limited by memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 21
"""Pairs looked at in one go: some tens of MB per column."""

TYPES = {"user": "<i4", "item": "<i4", "rating": "<f8", "time": "<f8", "order": "<i8", "label": "<i1"}
"""Columns that a folder of pairs may have. ``order`` is the place among the rows of the sources."""

Chunk = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class PairFiles:
    """A folder with one file per column; pairs are sorted by user, then item."""

    folder: Path
    columns: tuple[str, ...]
    count: int

    def column(self, name: str) -> NDArray[Any]:
        """One column [count], memory-mapped."""
        if self.count == 0:
            return np.empty(0, dtype=TYPES[name])
        return np.memmap(self.folder / name, dtype=TYPES[name], mode="r", shape=(self.count,))

    def chunks(self) -> Iterator[Chunk]:
        """All columns, ``CHUNK`` pairs at a time."""
        yield from self._slices(range(0, self.count, CHUNK), CHUNK)

    def user_chunks(self, users_per_chunk: int) -> Iterator[Chunk]:
        """All columns, all pairs of ``users_per_chunk`` consecutive user ids at a time."""
        users = self.column("user")
        if self.count == 0:
            return
        firsts = np.arange(0, int(users[-1]) + 1, users_per_chunk)
        starts = [*np.searchsorted(users, firsts).tolist(), self.count]
        for start, stop in pairwise(starts):
            yield from self._slices([start], stop - start)

    def _slices(self, starts: Any, size: int) -> Iterator[Chunk]:
        columns = {name: self.column(name) for name in self.columns}
        for start in starts:
            yield {name: np.array(column[start : start + size]) for name, column in columns.items()}


class PairWriter:
    """Appends chunks to the files of a folder; what it wrote is ``files`` once it is closed."""

    def __init__(self, folder: Path, columns: tuple[str, ...]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.files = PairFiles(folder, columns, 0)
        self._open: dict[str, BinaryIO] = {name: (folder / name).open("wb") for name in columns}

    def append(self, chunk: Mapping[str, NDArray[Any]]) -> None:
        """Add the pairs of a chunk that has at least this writer's columns."""
        for name, file in self._open.items():
            np.ascontiguousarray(chunk[name], dtype=TYPES[name]).tofile(file)
        count = self.files.count + len(chunk["user"])
        self.files = PairFiles(self.files.folder, self.files.columns, count)

    def __enter__(self) -> PairWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._open.values():
            file.close()

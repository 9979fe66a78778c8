"""The text files of a prepared set: the ``.inter`` table, the id maps, the item text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.id_maps import DENSE_COLUMNS, FILES, Kind
from datasets.item_text_files import json_line
from datasets.prepare.pair_files import Chunk, PairFiles
from datasets.prepare.texts import texts_of

HEADERS = {"user": "userID", "item": "itemID", "rating": "rating", "time": "timestamp", "label": "x_label"}


def write_inter(pairs: PairFiles, path: Path) -> None:
    """Write the pairs, tab-separated; whole times are written as whole numbers."""
    import pyarrow as pa
    from pyarrow import csv

    names = [name for name in HEADERS if name in pairs.columns]
    whole = "time" not in names or _whole(pairs)
    options = csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    with path.open("wb") as file:
        file.write(("\t".join(HEADERS[name] for name in names) + "\n").encode())
        for chunk in pairs.chunks():
            columns = [_written(name, chunk, whole) for name in names]
            csv.write_csv(pa.table(columns, names=names), file, options)


def write_id_map(kind: Kind, own: NDArray[np.object_], folder: Path) -> None:
    """Write ``own`` (position = dense id) as the map of users or items."""
    with (folder / FILES[kind]).open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"{kind}\t{DENSE_COLUMNS[kind]}\n")
        file.writelines(f"{one}\t{dense}\n" for dense, one in enumerate(own))


def write_item_text(texts: Path, items: NDArray[np.int64], path: Path) -> int:
    """Write the text of ``items``, those that have any; returns how many."""
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for dense, text in enumerate(texts_of(texts, items)):
            if text:
                file.write(json_line(dense, text))
                written += 1
    return written


def _whole(pairs: PairFiles) -> bool:
    return all((chunk["time"] == np.rint(chunk["time"])).all() for chunk in pairs.chunks())


def _written(name: str, chunk: Chunk, whole: bool) -> NDArray[np.generic]:
    column: NDArray[np.generic] = chunk[name]
    return column.astype(np.int64) if name == "time" and whole else column

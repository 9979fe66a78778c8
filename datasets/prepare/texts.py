"""The text of every item that occurs in the interactions, by the item's first number."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from datasets.errors import InputError
from datasets.item_text import NOTHING, ItemText
from datasets.item_text_files import item_text, json_line
from datasets.prepare.item_fields import Unread, id_field, text_of
from datasets.prepare.item_records import field_names, records
from datasets.prepare.sources import format_of
from datasets.prepare.sources.options import ItemOptions

TEXTS = "texts.jsonl"


def write_texts(options: ItemOptions, items: NDArray[np.object_], folder: Path) -> dict[str, Any]:
    """Write ``texts.jsonl`` to ``folder``: the items that have text, sorted by number.

    One pass over the files; only the places of the lines are kept in memory.

    Args:
        options: the files.
        items: own ids of all items, position = number.
        folder: an empty folder.

    Raises:
        InputError: naming file, line and value of what does not fit, or if no item of the files occurs.
    """
    numbers = {own: number for number, own in enumerate(items.tolist())}
    unsorted = folder / "unsorted.jsonl"
    start = array("q", [-1]) * len(items)
    unread, known = Unread(), 0
    with unsorted.open("wb") as file:
        for own, text in _described(options, numbers, unread):
            known += 1
            if text:
                start[numbers[own]] = file.tell()
                file.write(json_line(numbers[own], text).encode())
    if known == 0:
        raise InputError(
            f"{options.files[0]} describes none of the {len(items)} items of the interactions, the first "
            f"of which is {items[0]!r}: check that both name items alike, or state --items-id-column."
        )
    with unsorted.open("rb") as read, (folder / TEXTS).open("wb") as file:
        written = sum(_copy_line(read, place, file) for place in start if place >= 0)
    unsorted.unlink()
    return {"items_described": known, "items_with_text": written, "prices_not_read": unread.prices}


def texts_by_number(folder: Path) -> Iterator[tuple[int, ItemText]]:
    """What ``write_texts`` wrote, in order."""
    with (folder / TEXTS).open(encoding="utf-8") as file:
        for line in file:
            row: Mapping[str, Any] = json.loads(line)
            yield int(row["itemID"]), item_text(row, TEXTS)


def texts_of(folder: Path, items: NDArray[np.int64]) -> Iterator[ItemText]:
    """The text of each item in ``items`` (numbers, ascending); items without text give an empty one."""
    known = texts_by_number(folder)
    number, text = next(known, (-1, NOTHING))
    for item in items.tolist():
        while 0 <= number < item:
            number, text = next(known, (-1, NOTHING))
        yield text if number == item else NOTHING


def has_text(folder: Path, num_items: int) -> NDArray[np.bool_]:
    """Which items have text [num_items]."""
    mask = np.zeros(num_items, dtype=bool)
    mask[[number for number, text in texts_by_number(folder) if text.words()]] = True
    return mask


def _described(
    options: ItemOptions, numbers: Mapping[str, int], unread: Unread
) -> Iterator[tuple[str, ItemText]]:
    """Every item of the files that occurs in the interactions, once."""
    seen: dict[str, str] = {}
    for path in options.files:
        name = format_of(path, options.format)
        key = id_field(path, field_names(path, name), options.id_column)
        for line, record in records(path, name, options.seq_separator):
            where = f"{path}, line {line}" if name != "parquet" else f"{path}, row {line}"
            own = record.get(key)
            if own is None or own == "" or isinstance(own, list | dict | float | bool):
                raise InputError(f"{where} has {own!r} as its {key}: give every row the id of its item.")
            own = str(own)
            if own not in numbers:
                continue
            if own in seen:
                if options.duplicates == "first":
                    continue
                raise InputError(
                    f"{where} describes item {own!r} again after {seen[own]}: remove one, or take the first "
                    "with --items-duplicates first."
                )
            seen[own] = where
            yield own, text_of(record, name, where, unread)


def _copy_line(source: BinaryIO, place: int, target: BinaryIO) -> bool:
    source.seek(place)
    target.write(source.readline())
    return True

"""Explicit deletion requests from a file.

CSV: one column per user or item, further columns are ignored. ``userID`` and ``itemID`` are the dense
ids that models use, ``user`` and ``item`` the data set's own ids (``datasets.id_maps``); where a file has
both for the same thing, the dense ids count. JSON: a list of ids, a list of ``[user, item]``, or an
object with the one key ``users``, ``items`` or ``interactions`` that holds such a list; numbers are dense
ids, texts are the data set's own ids.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import InputError, in_short
from datasets.id_maps import DENSE_COLUMNS, MOST_DIGITS, IdMaps, Kind, dense_ids


@dataclass(frozen=True)
class ListForm:
    """What one row of a request file names.

    ``kinds`` are its columns in order; ``json_key`` is the key under which an object holds the list.
    """

    regime: str
    kinds: tuple[Kind, ...]
    json_key: str


Cells = list[list[Any]]
"""One list per row of a file; a number is a dense id, a text an own id."""


def read_request_file(path: str, form: ListForm, maps: IdMaps | None = None) -> NDArray[np.int64]:
    """The distinct dense ids [N, 1] (user, item) or pairs [N, 2] (interaction) listed in a file, sorted.

    Args:
        path: a CSV or a JSON file.
        form: what one row names.
        maps: the data set's own ids, if it has any.

    Raises:
        InputError: if the file is missing, of an unknown type, empty, or does not hold the regime's ids.
    """
    file = _existing(path)
    readers = {".csv": _from_csv, ".json": _from_json}
    if file.suffix.lower() not in readers:
        raise InputError(f"regime.file={path} is of an unknown type: use a .csv or a .json file.")
    try:
        rows = readers[file.suffix.lower()](file, form)
    except UnicodeDecodeError as error:
        raise InputError(
            f"regime.file={path} is not UTF-8 text ({in_short(error)}): save it again as UTF-8."
        ) from error
    except csv.Error as error:
        raise InputError(f"regime.file={path} is not a readable CSV ({error}): correct the file.") from error
    if not rows:
        raise InputError(f"regime.file={path} lists nothing to forget: add ids or remove the option.")
    columns = [
        _dense(kind, cells, maps, file)
        for kind, cells in zip(form.kinds, zip(*rows, strict=True), strict=True)
    ]
    return np.unique(np.stack(columns, axis=1), axis=0)


def check_ids(rows: NDArray[np.int64], form: ListForm, file: str, num_users: int, num_items: int) -> None:
    """Raise ``InputError`` for ids outside the data set."""
    sizes = {"user": num_users, "item": num_items}
    for kind, ids in zip(form.kinds, rows.T, strict=True):
        outside = ids[(ids < 0) | (ids >= sizes[kind])]
        if outside.size:
            raise InputError(
                f"regime.file={file} names {DENSE_COLUMNS[kind]} {outside[0]}, which is out of "
                f"range: use ids from 0 to {sizes[kind] - 1}."
            )


def _existing(path: str) -> Path:
    file = Path(path)
    if not file.is_file():
        raise InputError(f"regime.file={path} does not exist: give the path of a CSV or JSON file.")
    return file


def _from_csv(file: Path, form: ListForm) -> Cells:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        table = csv.DictReader(stream)
        given = table.fieldnames or ()
        columns = [DENSE_COLUMNS[kind] if DENSE_COLUMNS[kind] in given else str(kind) for kind in form.kinds]
        missing = [kind for kind, column in zip(form.kinds, columns, strict=True) if column not in given]
        if missing:
            dense = ",".join(DENSE_COLUMNS[kind] for kind in form.kinds)
            raise InputError(
                f"regime.file={file} has no column {DENSE_COLUMNS[missing[0]]}, which "
                f"regime.name={form.regime} needs: add the header {dense}, or {','.join(form.kinds)} for the "
                "data set's own ids."
            )
        readers = [_integer if column in DENSE_COLUMNS.values() else _text for column in columns]
        return [[read(row[c], file) for read, c in zip(readers, columns, strict=True)] for row in table]


def _from_json(file: Path, form: ListForm) -> Cells:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists in lists in lists
        raise InputError(
            f"regime.file={file} is not valid JSON ({in_short(error)}): correct the file."
        ) from error
    if isinstance(content, dict):
        content = content.get(form.json_key)
    if not isinstance(content, list):
        raise InputError(
            f"regime.file={file} holds no list for regime.name={form.regime}: "
            f'give a list or an object with the key "{form.json_key}".'
        )
    return [_row(entry, file, form) for entry in content]


def _row(entry: Any, file: Path, form: ListForm) -> list[Any]:
    cells = entry if isinstance(entry, list) else [entry]
    if len(cells) != len(form.kinds):
        needed = ", ".join(DENSE_COLUMNS[kind] for kind in form.kinds)
        raise InputError(
            f"regime.file={file} has the entry {in_short(repr(entry))}, but regime.name={form.regime} needs "
            f"[{needed}] in each: correct the entry."
        )
    return [cell if isinstance(cell, str) else _integer(cell, file) for cell in cells]


def _dense(kind: Kind, cells: Sequence[Any], maps: IdMaps | None, file: Path) -> NDArray[np.int64]:
    """One column in dense ids; texts are own ids."""
    own = [cell for cell in cells if isinstance(cell, str)]
    if not own:
        return np.asarray(cells, dtype=np.int64)
    if len(own) < len(cells):
        mixed = next(cell for cell in cells if not isinstance(cell, str))
        raise InputError(
            f"regime.file={file} has both {own[0]!r} and {mixed!r}: write all ids as numbers (dense ids) or "
            "all as texts (the data set's own ids)."
        )
    return dense_ids(kind, own, maps, f"regime.file={file}")


def _integer(cell: Any, file: Path) -> int:
    text = "" if isinstance(cell, bool | float) else _plain(cell)
    if not text.removeprefix("-").isdecimal() or len(text) > MOST_DIGITS:
        raise InputError(
            f"regime.file={file} has {in_short(repr(cell))} where an integer id is needed: correct "
            "the entry, or name the "
            "column user or item to give the data set's own ids."
        )
    return int(text)


def _plain(cell: Any) -> str:
    """A cell as text; of a number that is no id whatever its digits, a mark of that."""
    return "too large" if isinstance(cell, int) and abs(cell) >= 10**MOST_DIGITS else str(cell).strip()


def _text(cell: Any, file: Path) -> str:
    if not isinstance(cell, str):
        raise InputError(
            f"regime.file={file} has a row that is too short: give each row an id in every column."
        )
    return cell

"""A log of deletion requests, as a data-protection officer keeps it.

CSV with the columns ``request`` (an id; rows with the same id are one request) and ``date`` (ISO 8601; a
time of day is read and not used), and who or what is asked for: ``user`` or ``userID``, ``item`` or
``itemID``; a row that names both means the single pair. ``userID`` and ``itemID`` are dense ids, ``user`` and
``item`` the data set's own ids. Requests are served by date, and on one date in the order of the file. A user
who asks twice has left already: the second time nothing is left to ask for, and such a request is none. Days
without a request need no row.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from datasets.errors import InputError
from datasets.id_maps import DENSE_COLUMNS, IdMaps, Kind, dense_ids

KINDS: tuple[Kind, ...] = ("user", "item")


@dataclass(frozen=True)
class Row:
    """One line: dense ids, None where the line names none."""

    user: int | None
    item: int | None
    line: int


@dataclass(frozen=True)
class LoggedRequest:
    """One request of a log with its rows."""

    name: str
    day: date
    rows: tuple[Row, ...]


def read_log(path: str, num_users: int, num_items: int, maps: IdMaps | None) -> list[LoggedRequest]:
    """The requests of a log in the order in which they are served.

    Raises:
        InputError: naming file, line, value and remedy for whatever cannot be followed.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"stream.file={path} does not exist: give the path of a CSV log of requests.")
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            table = csv.DictReader(stream)
            columns = _columns(table.fieldnames or (), file)
            lines = [(table.line_num, dict(line)) for line in table]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"stream.file={path} is no UTF-8 CSV ({error}): save it again as UTF-8.") from error
    sizes: dict[Kind, int] = {"user": num_users, "item": num_items}
    found: dict[str, tuple[date, list[Row]]] = {}
    for number, line in lines:
        name = (line["request"] or "").strip()
        if not name:
            raise InputError(f"stream.file={path} line {number} has no request id: give every row one.")
        day = _day(line["date"], file, number)
        first, rows = found.setdefault(name, (day, []))
        if first != day:
            raise InputError(
                f"stream.file={path} line {number} gives request {name} the date {day}, an earlier line "
                f"{first}: give all rows of a request the same date."
            )
        rows.append(_row(line, columns, sizes, maps, file, number))
    if not found:
        raise InputError(f"stream.file={path} lists no request: add rows, or choose stream=none.")
    ordered = sorted(found.items(), key=lambda entry: entry[1][0])  # stable: the file's order within a day
    return [LoggedRequest(name, day, tuple(rows)) for name, (day, rows) in ordered]


def _columns(given: object, file: Path) -> dict[Kind, str]:
    names = list(given) if isinstance(given, list | tuple) else []
    for needed in ("request", "date"):
        if needed not in names:
            raise InputError(f"stream.file={file} has no column {needed}: add it to the header.")
    found: dict[Kind, str] = {}
    for kind in KINDS:
        if DENSE_COLUMNS[kind] in names:
            found[kind] = DENSE_COLUMNS[kind]
        elif kind in names:
            found[kind] = str(kind)
    if not found:
        raise InputError(
            f"stream.file={file} has neither a column for users nor one for items: add userID or itemID "
            "(dense ids), or user or item (the data set's own ids)."
        )
    return found


def _row(
    line: dict[str, str | None],
    columns: dict[Kind, str],
    sizes: dict[Kind, int],
    maps: IdMaps | None,
    file: Path,
    number: int,
) -> Row:
    ids: dict[Kind, int | None] = {"user": None, "item": None}
    for kind, column in columns.items():
        text = (line.get(column) or "").strip()
        if text:
            where = f"stream.file={file} line {number}"
            ids[kind] = _dense(text, kind, column, sizes[kind], maps, where)
    if ids["user"] is None and ids["item"] is None:
        raise InputError(f"stream.file={file} line {number} names nobody and nothing: give it an id.")
    return Row(ids["user"], ids["item"], number)


def _dense(text: str, kind: Kind, column: str, size: int, maps: IdMaps | None, where: str) -> int:
    if column != DENSE_COLUMNS[kind]:
        return int(dense_ids(kind, [text], maps, where)[0])
    if not text.isdecimal() or len(text) > 18:
        raise InputError(f"{where} has {column}={text}, which is no dense id: use an integer from 0.")
    if int(text) >= size:
        raise InputError(f"{where} has {column}={text}, which is out of range: use ids from 0 to {size - 1}.")
    return int(text)


def _day(text: str | None, file: Path, number: int) -> date:
    try:
        return datetime.fromisoformat((text or "").strip()).date()
    except ValueError as error:
        raise InputError(
            f"stream.file={file} line {number} has the date {text!r}: write it as YYYY-MM-DD."
        ) from error

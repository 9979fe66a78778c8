"""Files of item text: ``item_text.jsonl`` or ``item_text.csv``.

One row per item, in any order: ``itemID`` (dense, from 0), ``title``, ``brand``, ``categories``,
``description``, ``price``; all but ``itemID`` may be left out, other fields are ignored. JSON Lines hold
``categories`` as a list from the general to the particular, CSV as a text with ``>`` between its parts.
Items without a row have no text.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from datasets.errors import InputError, in_short
from datasets.id_maps import MOST_DIGITS
from datasets.item_text import NOTHING, ItemText

NAMES = ("item_text.jsonl", "item_text.csv")
"""File names in the order in which they are looked for."""

BETWEEN_CATEGORIES = ">"


def read_item_text(path: Path, num_items: int) -> tuple[ItemText, ...]:
    """The text of every item, position = item id.

    Raises:
        InputError: naming file, line and value of the first row that does not fit.
    """
    texts = [NOTHING] * num_items
    first_line: dict[int, int] = {}
    rows = _csv_rows(path) if path.suffix == ".csv" else _json_rows(path)
    for line, row in rows:
        item = _item(row.get("itemID"), num_items, f"{path}, line {line}")
        if item in first_line:
            raise InputError(
                f"{path}, line {line} describes itemID {item} again after line {first_line[item]}: "
                "keep one row per item."
            )
        first_line[item] = line
        texts[item] = item_text(row, f"{path}, line {line}")
    return tuple(texts)


def json_line(item: int, text: ItemText) -> str:
    """One line of ``item_text.jsonl``, with its line end."""
    row: dict[str, Any] = {"itemID": item, "title": text.title, "brand": text.brand}
    row |= {"categories": list(text.categories), "description": text.description, "price": text.price}
    return json.dumps(row, ensure_ascii=False) + "\n"


def item_text(row: Mapping[str, Any], where: str) -> ItemText:
    """The text in a row with the fields of this layout. Raises ``InputError`` naming ``where``."""
    title, brand, description = (
        _words(row.get(key), key, where) for key in ("title", "brand", "description")
    )
    return ItemText(
        title, brand, _categories(row.get("categories"), where), description, _price(row.get("price"), where)
    )


def _json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}, line {number} is not valid JSON ({in_short(error)}): correct the line."
            ) from error
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number} is not an object: write one JSON object per line.")
        yield number, row


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    table = csv.DictReader(_lines(path), strict=True)
    if "itemID" not in (table.fieldnames or ()):
        raise InputError(
            f"{path} has no column itemID: the first line must name the columns, itemID among them."
        )
    for row in _readable(path, table):
        if None in row or None in row.values():
            raise InputError(
                f"{path}, line {table.line_num} does not have the {len(table.fieldnames or ())} cells of "
                "the header: correct the line."
            )
        yield table.line_num, row


def _readable(path: Path, table: csv.DictReader[str]) -> Iterator[dict[str, Any]]:
    try:
        yield from table
    except csv.Error as error:
        where = f"{path}, line {table.reader.line_num}"
        raise InputError(f"{where} cannot be read ({error}): correct the line.") from error


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from file
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error}): save it again as UTF-8.") from error


def _item(value: Any, num_items: int, where: str) -> int:
    whole = isinstance(value, str) or (isinstance(value, int) and 0 <= value < 10**MOST_DIGITS)
    text = str(value) if whole and not isinstance(value, bool) else ""
    if not text.isdecimal() or len(text) > MOST_DIGITS:
        raise InputError(
            f"{where} has the itemID {in_short(repr(value))}: use a whole number from 0 to {num_items - 1}."
        )
    if int(text) >= num_items:
        raise InputError(f"{where} has the itemID {text}, but there are {num_items} items: remove the row.")
    return int(text)


def _words(value: Any, key: str, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{where} has the {key} {in_short(repr(value))}: write text.")
    return value


def _categories(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(BETWEEN_CATEGORIES)]
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise InputError(
            f"{where} has the categories {in_short(repr(value))}: write one path, a list of texts "
            "from the general to the "
            "particular."
        )
    return tuple(part for part in value if part)


def _price(value: Any, where: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        price = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        price = math.nan
    if not (math.isfinite(price) and price >= 0):
        raise InputError(
            f"{where} has the price {in_short(repr(value))}: write a number from 0 up, or leave it out."
        )
    return price

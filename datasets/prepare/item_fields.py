"""From a record of any format to item text.

Amazon 2014: ``categories`` is a list of paths, of which the first is taken, ``price`` a number; 2018:
``category`` is one path, ``description`` a list, ``price`` a text with a currency sign (and now and then
something else, which counts as no price); 2023: ``store`` is the brand. Texts of all three hold HTML
entities, which are resolved.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.errors import InputError
from datasets.item_text import ItemText
from datasets.item_text_files import item_text

ID_NAMES = ("item", "item_id", "itemID", "itemId", "parent_asin", "asin", "iid", "video", "videoID")
FIELD_NAMES: dict[str, tuple[str, ...]] = {
    "title": ("title", "name", "item_name"),
    "brand": ("brand", "store", "manufacturer"),
    "categories": ("categories", "category", "main_category", "genre", "genres", "class"),
    "description": ("description", "text"),
    "price": ("price",),
}
"""Names by which fields are found, most telling first; a field that is empty leaves it to the next."""

AMAZON = ("amazon2014", "amazon2018", "amazon2023")


@dataclass
class Unread:
    """What was left out on the way."""

    prices: int = 0


def id_field(path: Path, names: Sequence[str], stated: str | None) -> str:
    """The field that holds the item's own id. Raises ``InputError`` where there is none."""
    found = [name for name in ID_NAMES if name in names] if stated is None else [stated]
    if not found or found[0] not in names:
        wanted = stated or ", ".join(ID_NAMES)
        raise InputError(
            f"{path} has no field for the item ({wanted}): name it with --items-id-column, its fields are "
            f"{', '.join(names) or 'none'}."
        )
    return found[0]


def text_of(record: Mapping[str, Any], format_name: str, where: str, unread: Unread) -> ItemText:
    """The item text in a record.

    Raises:
        InputError: naming ``where`` and the value that does not fit; prices of Amazon's files that are no
            number are counted in ``unread`` instead, because the files are full of them.
    """
    amazon = format_name in AMAZON
    row = {field: _first(record, names) for field, names in FIELD_NAMES.items()}
    row["categories"] = _path(row["categories"])
    for field in ("title", "brand", "description"):
        row[field] = _joined(row[field])
    if amazon:
        price = _amazon_price(row["price"])
        unread.prices += price is None and row["price"] not in (None, "")
        row["price"] = price
        row |= {field: _unescaped(row[field]) for field in ("title", "brand", "description", "categories")}
    return item_text(row, where)


def _first(record: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((record[name] for name in names if record.get(name) not in (None, "", [])), None)


def _path(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], list):
        return value[0]
    return value


def _joined(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return " ".join(value)
    no_number = isinstance(value, float) and math.isnan(value)  # what pandas writes for no text
    return None if no_number else value


def _amazon_price(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if math.isfinite(value) and value >= 0 else None
    found = re.fullmatch(r"\$?\s*([\d,]+(?:\.\d+)?)", value.strip()) if isinstance(value, str) else None
    return float(found.group(1).replace(",", "")) if found else None


def _unescaped(value: Any) -> Any:
    if isinstance(value, list):
        return [_unescaped(part) for part in value]
    return html.unescape(value) if isinstance(value, str) else value

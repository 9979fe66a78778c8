"""What a format says about a file of interactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datasets.errors import InputError
from datasets.prepare.sources.options import NONE, Columns

Role = Literal["user", "item", "rating", "time"]

USUAL_NAMES: dict[Role, tuple[str, ...]] = {
    "user": ("user", "user_id", "userID", "userId", "reviewerID", "uid"),
    "item": ("item", "item_id", "itemID", "itemId", "parent_asin", "asin", "iid", "video", "videoID"),
    "rating": ("rating", "overall", "stars", "score"),
    "time": ("timestamp", "time", "unixReviewTime", "date", "datetime"),
}
"""Names by which columns are found where the command line states none, most telling first."""


@dataclass(frozen=True)
class Source:
    """A file of interactions.

    Attributes:
        path: the file.
        format: name of its format.
        relation: what DuckDB reads the file with: a table expression.
        expressions: DuckDB expressions over ``relation`` that give each role as text.
        columns: the column behind each role, for people.
        rows: what a row is called and from where it is counted, for messages.
    """

    path: Path
    format: str
    relation: str
    expressions: dict[Role, str]
    columns: dict[Role, str]
    rows: str = "row {} below the header"


def choose_columns(path: Path, given: Sequence[str], wanted: Columns) -> dict[Role, str]:
    """The column of each role among those that the file has; rating and time only where they are found.

    Raises:
        InputError: if a stated column is missing, or none is found for users or items.
    """
    chosen: dict[Role, str] = {}
    for role, usual in USUAL_NAMES.items():
        stated = getattr(wanted, role)
        if stated == NONE and role in ("rating", "time"):
            continue
        if stated is not None and stated not in given:
            raise InputError(
                f"{path} has no column {stated}, which --{role}-column names: its columns are "
                f"{_listed(given)}."
            )
        found = [stated] if stated is not None else [name for name in usual if name in given]
        if not found and role in ("user", "item"):
            raise InputError(
                f"{path} has no column for the {role} ({', '.join(usual)}): name it with --{role}-column, "
                f"its columns are {_listed(given)}."
            )
        if found:
            chosen[role] = found[0]
    return chosen


def quoted(name: str) -> str:
    """A column name as DuckDB reads it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as DuckDB reads it."""
    return "'" + text.replace("'", "''") + "'"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"

"""One source as a checked table: user, item, rating, time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.errors import InputError
from datasets.prepare.duck import reading
from datasets.prepare.sources.base import USUAL_NAMES, Source, literal

if TYPE_CHECKING:
    import duckdb

ROWS = "rows.parquet"

REMEDIES = {
    "no user": "is without a user: add the id or remove the row",
    "no item": "is without an item: add the id or remove the row",
    "user": "has the user {value!r} with a control character in it: clean the id",
    "item": "has the item {value!r} with a control character in it: clean the id",
    "rating": "has the rating {value!r}: write a finite number, or leave ratings out with "
    "--rating-column none",
    "no rating": "has no rating: write a number, or leave ratings out with --rating-column none",
    "time": "has the time {value!r}: write a number or a date like 2014-05-31 12:00:00, or leave times out "
    "with --time-column none",
    "no time": "has no time: write one, or leave times out with --time-column none",
}


@dataclass(frozen=True)
class Rows:
    """The rows of one source: a Parquet file with the columns user, item, rating, time, and their number."""

    path: Path
    count: int
    has_rating: bool
    has_time: bool
    key: str = ""
    """Of the stage that wrote it."""


def write_rows(opened: duckdb.DuckDBPyConnection, source: Source, folder: Path) -> Rows:
    """Read a whole source and check every row.

    Raises:
        InputError: naming file, row and value of the first row that does not fit.
    """
    path = folder / ROWS
    with reading(source):
        opened.execute(
            f"COPY ({checked_rows(source)}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        )
    table = f"read_parquet({literal(str(path))}, file_row_number=true)"
    (count,) = _one(opened, f"SELECT count(*) FROM {table}")
    if count == 0:
        raise InputError(f"{source.path} has no rows: give a file with interactions.")
    defect = opened.execute(
        f"SELECT file_row_number, defect, value FROM {table} WHERE defect IS NOT NULL "
        "ORDER BY file_row_number LIMIT 1"
    ).fetchone()
    if defect is not None:
        row, what, value = defect
        where = f"{source.path}, {source.rows.format(row + 1)}"
        raise InputError(f"{where} {REMEDIES[what].format(value=value)}.")
    return Rows(path, int(count), "rating" in source.expressions, "time" in source.expressions)


def checked_rows(source: Source) -> str:
    """A query that gives user, item, rating, time and, where a row does not fit, its defect and the value."""
    roles = {role: source.expressions.get(role, "NULL::VARCHAR") for role in USUAL_NAMES}
    texts = ", ".join(f'{expression} AS "{role}_text"' for role, expression in roles.items())
    control = "regexp_matches({}, '[\\x00-\\x1f\\x7f]')"
    defects = [
        ("no user", "coalesce(user_text, '') = ''", "''"),
        ("no item", "coalesce(item_text, '') = ''", "''"),
        ("user", control.format("user_text"), "user_text"),
        ("item", control.format("item_text"), "item_text"),
    ]
    for role in ("rating", "time"):
        if role in source.expressions:
            defects.append((f"no {role}", f"coalesce({role}_text, '') = ''", "''"))
            defects.append((role, f"NOT coalesce(isfinite({role}), false)", f"{role}_text"))

    def cases(place: int) -> str:
        return " ".join(f"WHEN {d[1]} THEN {literal(d[0]) if place == 0 else d[2]}" for d in defects)

    numbers = (
        f"SELECT *, try_cast(rating_text AS DOUBLE) AS rating, coalesce(try_cast(time_text AS DOUBLE), "
        f"epoch(try_cast(time_text AS TIMESTAMP))) AS time FROM (SELECT {texts} FROM {source.relation})"
    )
    return (
        f'SELECT user_text AS "user", item_text AS item, rating, time, CASE {cases(0)} END AS defect, '
        f"CASE {cases(1)} END AS value FROM ({numbers})"
    )


def _one(opened: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row = opened.execute(query).fetchone()
    assert row is not None
    return row

"""From rows with texts as ids to distinct pairs of numbers, sorted by user and item.

Numbers follow the order of the ids as texts (by code point), so that neither the order of the files nor
that of their rows decides them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import InputError
from datasets.prepare.pair_files import CHUNK, Chunk, PairFiles, PairWriter
from datasets.prepare.rows import Rows
from datasets.prepare.sources.base import literal
from datasets.prepare.sources.options import FilterOptions

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Coded:
    """Distinct pairs, the own ids behind their numbers, and what was counted on the way."""

    pairs: PairFiles
    counts: dict[str, int]


def code_pairs(
    opened: duckdb.DuckDBPyConnection, rows: Sequence[Rows], filters: FilterOptions, folder: Path
) -> Coded:
    """Drop low ratings and duplicates, number users and items.

    Writes the pairs' columns and ``user_ids.parquet`` and ``item_ids.parquet`` (own ids in order) to
    ``folder``.

    Raises:
        InputError: if ratings are needed and missing, sources differ in what they have, a duplicate is
            refused, or nothing is left.
    """
    columns = _columns(rows, filters)
    enough = "true" if filters.min_rating is None else f"rating >= {filters.min_rating!r}"
    opened.execute(f"CREATE VIEW kept AS SELECT * FROM ({_union(rows)}) WHERE {enough}")
    (kept,) = opened.execute("SELECT count(*) FROM kept").fetchone() or (0,)
    total = sum(one.count for one in rows)
    if kept == 0:
        raise InputError(f"--min-rating {filters.min_rating} leaves none of {total} rows: lower it.")
    for kind in ("user", "item"):
        ids = literal(str(folder / f"{kind}_ids.parquet"))
        distinct = f'SELECT DISTINCT "{kind}" AS own FROM kept ORDER BY own'
        opened.execute(f"COPY ({distinct}) TO {ids} (FORMAT parquet)")
    with PairWriter(folder / "pairs", columns) as writer:
        _write_distinct(opened, folder, filters, writer)
    pairs = writer.files
    counts = {
        "rows": total,
        "rows_rated_too_low": total - kept,
        "duplicate_rows": kept - pairs.count,
        "pairs": pairs.count,
        "users": len(read_ids(folder, "user")),
        "items": len(read_ids(folder, "item")),
    }
    return Coded(pairs, counts)


def read_ids(folder: Path, kind: str) -> NDArray[np.object_]:
    """Own ids in the order of their numbers, as an array of texts."""
    import pyarrow.parquet as pq

    ids: NDArray[np.object_] = pq.read_table(folder / f"{kind}_ids.parquet")["own"].to_numpy().astype(object)
    return ids


def _columns(rows: Sequence[Rows], filters: FilterOptions) -> tuple[str, ...]:
    for what, has in (("ratings", [r.has_rating for r in rows]), ("times", [r.has_time for r in rows])):
        if len(set(has)) > 1:
            column = {"ratings": "--rating-column none", "times": "--time-column none"}[what]
            raise InputError(f"some files have {what} and others have not: leave them out with {column}.")
    if filters.min_rating is not None and not rows[0].has_rating:
        raise InputError(
            f"--min-rating {filters.min_rating} needs ratings and the files have none: name their column "
            "with --rating-column, or leave the option out."
        )
    optional = {"rating": rows[0].has_rating, "time": rows[0].has_time}
    return ("user", "item", *(name for name, there in optional.items() if there), "order")


def _union(rows: Sequence[Rows]) -> str:
    parts, first = [], 0
    for one in rows:
        table = f"read_parquet({literal(str(one.path))}, file_row_number=true)"
        parts.append(f'SELECT "user", item, rating, time, file_row_number + {first} AS place FROM {table}')
        first += one.count
    return " UNION ALL ".join(parts)


def _write_distinct(
    opened: duckdb.DuckDBPyConnection, folder: Path, filters: FilterOptions, writer: PairWriter
) -> None:
    """Stream the sorted pairs and keep one of each run of equal ones."""
    for kind in ("user", "item"):
        ids = literal(str(folder / f"{kind}_ids.parquet"))
        opened.execute(
            f"CREATE TABLE {kind}_codes AS SELECT own, CAST(file_row_number AS INTEGER) AS code "
            f"FROM read_parquet({ids}, file_row_number=true)"
        )
    timed = "time" in writer.files.columns
    direction = "DESC" if filters.duplicates == "last" else "ASC"
    latest = f", time {direction}" if timed else ""
    query = (
        'SELECT u.code AS "user", i.code AS item, rating, time, place AS "order" FROM kept '
        'JOIN user_codes u ON kept."user" = u.own JOIN item_codes i ON kept.item = i.own '
        f"ORDER BY u.code, i.code{latest}, place {direction}"
    )
    before: tuple[int, int] | None = None
    for batch in opened.sql(query).to_arrow_reader(CHUNK):
        chunk: Chunk = {
            name: batch.column(name).to_numpy(zero_copy_only=False) for name in writer.files.columns
        }
        fresh = _fresh(chunk, before)
        if filters.duplicates == "error" and not fresh.all():
            raise _duplicate(folder, chunk, int(fresh.argmin()))
        before = int(chunk["user"][-1]), int(chunk["item"][-1])
        writer.append({name: column[fresh] for name, column in chunk.items()})


def _fresh(chunk: Chunk, before: tuple[int, int] | None) -> NDArray[np.bool_]:
    """Which pairs of a sorted chunk differ from the one before them."""
    fresh = np.ones(len(chunk["user"]), dtype=bool)
    fresh[1:] = (np.diff(chunk["user"]) != 0) | (np.diff(chunk["item"]) != 0)
    fresh[0] = before is None or before != (int(chunk["user"][0]), int(chunk["item"][0]))
    return fresh


def _duplicate(folder: Path, chunk: dict[str, Any], place: int) -> InputError:
    user = read_ids(folder, "user")[int(chunk["user"][place])]
    item = read_ids(folder, "item")[int(chunk["item"][place])]
    return InputError(
        f"user {user!r} and item {item!r} come together in more than one row: remove the others, or choose "
        "--duplicates first or last."
    )

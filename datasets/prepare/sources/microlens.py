"""MicroLens: ``*_pairs.csv`` is a plain CSV; ``*_pairs.tsv`` has one line per user.

In the TSV a tab follows the user, then come all the user's items in the order of time, separated by
spaces, without a header. The place in the line stands for the time: it orders the pairs of one user,
and says nothing across users.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from datasets.prepare.sources.base import Source
from datasets.prepare.sources.beginning import check_text
from datasets.prepare.sources.delimited import describe_csv, table
from datasets.prepare.sources.options import SourceOptions

PLACE = "place in the line"
"""Name of the time that is only an order within one user."""


def describe(path: Path, options: SourceOptions) -> Source:
    """A file of pairs, by its ending. Raises ``InputError`` where its beginning does not fit."""
    if ".tsv" not in path.suffixes:
        return replace(describe_csv(path, options), format="microlens")
    lists = table(path, check_text(path), "\t", ("user", "items"), has_header=False, quote=False)
    split = f"SELECT \"user\", string_split(trim(items), ' ') AS parts FROM {lists}"
    unnested = f'SELECT "user", unnest(parts) AS item, generate_subscripts(parts, 1) AS place FROM ({split})'
    return Source(
        path,
        "microlens",
        f"({unnested})",
        {"user": '"user"', "item": "item", "time": "CAST(place AS VARCHAR)"},
        {"user": "first column", "item": "second column", "time": PLACE},
        rows="pair {}",
    )

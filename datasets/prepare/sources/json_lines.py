"""JSON Lines: one object per line. The three editions of Amazon reviews differ in names only.

2014: ``reviewerID``, ``asin``, ``overall``, ``unixReviewTime`` (seconds), the files of J. McAuley's group;
2018: the same names (J. Ni); 2023: ``user_id``, ``parent_asin`` (the product whatever its variant, as its
authors' own benchmark uses it), ``rating``, ``timestamp`` (milliseconds).
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

from datasets.errors import InputError
from datasets.prepare.sources.base import Role, Source, choose_columns, literal, quoted
from datasets.prepare.sources.beginning import check_text, lines
from datasets.prepare.sources.options import Columns, SourceOptions

AMAZON_2014 = Columns("reviewerID", "asin", "overall", "unixReviewTime")
AMAZON_2018 = AMAZON_2014
AMAZON_2023 = Columns("user_id", "parent_asin", "rating", "timestamp")

LOOKED_AT_LINES = 100


def describe(path: Path, options: SourceOptions) -> Source:
    """A JSON Lines file; its columns are the keys of its first lines."""
    return _describe(path, options, "jsonl", options.columns)


def describe_amazon_2014(path: Path, options: SourceOptions) -> Source:
    """Reviews of the 2014 edition."""
    return _describe(path, options, "amazon2014", _merged(options.columns, AMAZON_2014))


def describe_amazon_2018(path: Path, options: SourceOptions) -> Source:
    """Reviews of the 2018 edition."""
    return _describe(path, options, "amazon2018", _merged(options.columns, AMAZON_2018))


def describe_amazon_2023(path: Path, options: SourceOptions) -> Source:
    """Reviews of the 2023 edition."""
    return _describe(path, options, "amazon2023", _merged(options.columns, AMAZON_2023))


def first_bad_line(path: Path) -> InputError:
    """What is wrong with a JSON Lines file, looked for line by line."""
    for number, line in enumerate(lines(path, check_text(path)), start=1):
        if line.strip():
            try:
                parsed(path, number, line)
            except InputError as error:
                return error
    return InputError(f"{path} cannot be read as JSON Lines: write one JSON object per line.")


def parsed(path: Path, number: int, line: str) -> dict[str, object]:
    """One line as an object. Raises ``InputError`` naming the line."""
    try:
        row = json.loads(line)
    except ValueError as error:
        shown = line.strip()[:60]
        raise InputError(
            f"{path}, line {number} is not valid JSON ({error}); it begins with {shown!r}: correct the line."
        ) from error
    if not isinstance(row, dict):
        raise InputError(f"{path}, line {number} is not an object: write one JSON object per line.")
    return row


def _describe(path: Path, options: SourceOptions, name: str, wanted: Columns) -> Source:
    is_gzip = check_text(path)
    keys: dict[str, None] = {}
    for number, line in enumerate(islice(lines(path, is_gzip), LOOKED_AT_LINES), start=1):
        if line.strip():
            keys.update(dict.fromkeys(parsed(path, number, line)))
    columns = choose_columns(path, list(keys), wanted)
    return Source(
        path,
        name,
        _table(path, is_gzip, columns),
        {role: quoted(column) for role, column in columns.items()},
        columns,
        rows="row {}",
    )


def _table(path: Path, is_gzip: bool, columns: dict[Role, str]) -> str:
    types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in dict.fromkeys(columns.values()))
    return (
        f"read_json({literal(str(path))}, format='newline_delimited', "
        f"compression='{'gzip' if is_gzip else 'uncompressed'}', columns={{{types}}})"
    )


def _merged(stated: Columns, usual: Columns) -> Columns:
    return Columns(
        stated.user or usual.user,
        stated.item or usual.item,
        stated.rating or usual.rating,
        stated.time or usual.time,
    )

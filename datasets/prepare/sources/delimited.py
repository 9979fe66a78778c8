"""CSV and TSV: a header that names the columns, fields in double quotes where they need it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from datasets.errors import InputError
from datasets.prepare.sources.base import Source, choose_columns, literal, quoted
from datasets.prepare.sources.beginning import check_text, lines
from datasets.prepare.sources.options import SourceOptions


def describe_csv(path: Path, options: SourceOptions) -> Source:
    """A comma-separated file. Raises ``InputError`` where its beginning does not fit."""
    return _describe(path, options, "csv", ",")


def describe_tsv(path: Path, options: SourceOptions) -> Source:
    """A tab-separated file. Raises ``InputError`` where its beginning does not fit."""
    return _describe(path, options, "tsv", "\t")


def header_of(path: Path, is_gzip: bool, delimiter: str, quote: bool = True) -> list[str]:
    """The names in the first line. Raises ``InputError`` for a name that stands there twice."""
    first = next(lines(path, is_gzip), "").rstrip("\r\n")
    names = next(csv.reader([first], delimiter=delimiter)) if quote else first.split(delimiter)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"{path} has the column {twice[0]!r} twice: give each column a name of its own.")
    return names


def table(
    path: Path, is_gzip: bool, delimiter: str, names: Sequence[str], has_header: bool, quote: bool = True
) -> str:
    """A DuckDB table expression with every column as text; rows that do not fit are errors."""
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    mark = "'\"'" if quote else "''"
    return (
        f"read_csv({literal(str(path))}, auto_detect=false, strict_mode=true, null_padding=false, "
        f"header={str(has_header).lower()}, delim={literal(delimiter)}, quote={mark}, escape={mark}, "
        f"compression='{'gzip' if is_gzip else 'none'}', columns={{{columns}}})"
    )


def _describe(path: Path, options: SourceOptions, name: str, delimiter: str) -> Source:
    is_gzip = check_text(path)
    has_header = options.header is None
    names = list(options.header or header_of(path, is_gzip, delimiter))
    columns = choose_columns(path, names, options.columns)
    return Source(
        path,
        name,
        table(path, is_gzip, delimiter, names, has_header),
        {role: quoted(column) for role, column in columns.items()},
        columns,
        rows="row {} below the header" if has_header else "row {}",
    )

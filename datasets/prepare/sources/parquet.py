"""Parquet files of interactions."""

from __future__ import annotations

from pathlib import Path

from datasets.errors import InputError
from datasets.prepare.sources.base import Source, choose_columns, literal, quoted
from datasets.prepare.sources.beginning import check_is_file
from datasets.prepare.sources.options import SourceOptions


def describe(path: Path, options: SourceOptions) -> Source:
    """A Parquet file. Raises ``InputError`` where it is none, or where its columns do not fit."""
    columns = choose_columns(path, column_names(path), options.columns)
    return Source(
        path,
        "parquet",
        f"read_parquet({literal(str(path))})",
        {role: f"CAST({quoted(column)} AS VARCHAR)" for role, column in columns.items()},
        columns,
        rows="row {}",
    )


def column_names(path: Path) -> list[str]:
    """The columns of a Parquet file. Raises ``InputError`` where it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_is_file(path)
    try:
        return [str(name) for name in pq.read_schema(path).names]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a readable Parquet file ({_first_line(error)}): write it again."
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")

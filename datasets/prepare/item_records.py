"""Files that describe items, record by record: any of the formats, as dictionaries."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets.errors import InputError
from datasets.prepare.sources.beginning import check_text, lines
from datasets.prepare.sources.delimited import header_of
from datasets.prepare.sources.json_lines import parsed
from datasets.prepare.sources.parquet import column_names
from datasets.prepare.sources.recbole import atomic_header

Record = dict[str, Any]

LITERALS = "amazon2014"
"""The edition whose metadata are Python literals where they are not JSON."""

LONGEST_FIELD = 1 << 27
"""Of a cell, in characters: a description may be longer than the module's own 128 KiB."""


def records(path: Path, format_name: str, seq_separator: str) -> Iterator[tuple[int, Record]]:
    """The records of a file with their line or row, for messages.

    Raises:
        InputError: naming file, line and value of what cannot be read.
    """
    if format_name == "parquet":
        return _parquet(path)
    if format_name == "recbole":
        return _atomic(path, seq_separator)
    if format_name in ("csv", "tsv", "microlens"):
        return _delimited(path, "\t" if format_name == "tsv" else ",")
    return _json_lines(path, literals=format_name == LITERALS)


def field_names(path: Path, format_name: str) -> list[str]:
    """The fields of a file without reading it: of JSON Lines, the keys of its first line."""
    if format_name == "parquet":
        return column_names(path)
    if format_name == "recbole":
        return list(atomic_header(path).types)
    if format_name in ("csv", "tsv", "microlens"):
        return header_of(path, check_text(path), "\t" if format_name == "tsv" else ",")
    first = next(records(path, format_name, " "), None)
    return list(first[1]) if first else []


def _with_long_fields(table: Iterator[list[str]]) -> Iterator[list[str]]:
    """The rows of a reader. Its limit is one of the whole process, and other files are held to theirs."""
    while True:
        before = csv.field_size_limit(LONGEST_FIELD)
        try:
            cells = next(table)
        except StopIteration:
            return
        finally:
            csv.field_size_limit(before)
        yield cells


def _delimited(path: Path, delimiter: str) -> Iterator[tuple[int, Record]]:
    is_gzip = check_text(path)
    names = header_of(path, is_gzip, delimiter)
    table = csv.reader(lines(path, is_gzip), delimiter=delimiter, strict=True)
    try:
        for number, cells in enumerate(_with_long_fields(table)):
            if number == 0 or not cells:
                continue
            if len(cells) != len(names):
                raise InputError(
                    f"{path}, line {table.line_num} has {len(cells)} cells and not {len(names)}: correct "
                    "the line."
                )
            yield table.line_num, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        where = f"{path}, line {table.line_num}"
        raise InputError(f"{where} cannot be read ({error}): correct the line.") from error


def _json_lines(path: Path, literals: bool) -> Iterator[tuple[int, Record]]:
    for number, line in enumerate(lines(path, check_text(path)), start=1):
        if line.strip():
            yield number, _literal(path, number, line) if literals else parsed(path, number, line)


def _literal(path: Path, number: int, line: str) -> Record:
    try:
        return parsed(path, number, line)
    except InputError:
        try:
            row = ast.literal_eval(line.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise
        return row


def _parquet(path: Path) -> Iterator[tuple[int, Record]]:
    import pyarrow.parquet as pq

    column_names(path)
    row = 0
    for batch in pq.ParquetFile(path).iter_batches(batch_size=4096):
        for record in batch.to_pylist():
            row += 1
            yield row, record


def _atomic(path: Path, seq_separator: str) -> Iterator[tuple[int, Record]]:
    header = atomic_header(path)
    for number, line in enumerate(lines(path, header.is_gzip), start=1):
        if number == 1:
            continue
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) != len(header.types):
            raise InputError(
                f"{path}, line {number} has {len(cells)} cells and not {len(header.types)}: correct the line."
            )
        yield (
            number,
            {
                name: [part for part in cell.split(seq_separator) if part] if kind == "token_seq" else cell
                for (name, kind), cell in zip(header.types.items(), cells, strict=True)
            },
        )

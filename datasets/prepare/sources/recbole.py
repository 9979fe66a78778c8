"""RecBole's atomic files: tab-separated, a header of ``name:type``, no quoting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from datasets.errors import InputError
from datasets.prepare.sources.base import Source, choose_columns, quoted
from datasets.prepare.sources.beginning import check_text
from datasets.prepare.sources.delimited import header_of, table
from datasets.prepare.sources.options import SourceOptions

TYPES = ("token", "token_seq", "float", "float_seq")


@dataclass(frozen=True)
class AtomicHeader:
    """The fields of an atomic file in order: type by name, and whether the file is compressed."""

    types: dict[str, str]
    is_gzip: bool


def describe(path: Path, options: SourceOptions) -> Source:
    """An ``.inter`` file. Raises ``InputError`` where its header does not fit."""
    header = atomic_header(path)
    columns = choose_columns(path, list(header.types), options.columns)
    for role, column in columns.items():
        expected = "token" if role in ("user", "item") else "float"
        if header.types[column] != expected and (role != "time" or header.types[column] != "token"):
            raise InputError(
                f"{path} has the {role} {column} as {header.types[column]}: it must be {column}:{expected}."
            )
    return Source(
        path,
        "recbole",
        table(path, header.is_gzip, "\t", list(header.types), has_header=True, quote=False),
        {role: quoted(column) for role, column in columns.items()},
        columns,
    )


def atomic_header(path: Path) -> AtomicHeader:
    """The header of an atomic file. Raises ``InputError`` for a field without a known type."""
    is_gzip = check_text(path)
    types: dict[str, str] = {}
    for field in header_of(path, is_gzip, "\t", quote=False):
        name, _, kind = field.rpartition(":")
        if not name or kind not in TYPES:
            raise InputError(
                f"{path} has the field {field!r} in its header: RecBole writes name:type, with a type of "
                f"{', '.join(TYPES)}."
            )
        types[name] = kind
    return AtomicHeader(types, is_gzip)

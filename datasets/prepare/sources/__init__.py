"""Formats of interaction files: from the ending of a name to a table of user, item, rating, time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from datasets.errors import InputError
from datasets.prepare.sources import delimited, json_lines, microlens, parquet, recbole
from datasets.prepare.sources.base import Source
from datasets.prepare.sources.options import SourceOptions

Describe = Callable[[Path, SourceOptions], Source]

FORMATS: dict[str, Describe] = {
    "csv": delimited.describe_csv,
    "tsv": delimited.describe_tsv,
    "parquet": parquet.describe,
    "jsonl": json_lines.describe,
    "amazon2014": json_lines.describe_amazon_2014,
    "amazon2018": json_lines.describe_amazon_2018,
    "amazon2023": json_lines.describe_amazon_2023,
    "microlens": microlens.describe,
    "recbole": recbole.describe,
}

ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".inter": "recbole",
    ".item": "recbole",
}


def format_of(path: Path, stated: str) -> str:
    """The format of a file: the stated one, or by the ending of its name.

    Raises:
        InputError: for an ending that is not known.
    """
    if stated != "auto":
        return stated
    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    if ending not in ENDINGS:
        raise InputError(
            f"{path} has the ending {ending or 'of no format'!r}, which is not known: state its format with "
            f"--format, one of {', '.join(FORMATS)}."
        )
    return ENDINGS[ending]


def describe(path: Path, options: SourceOptions) -> Source:
    """How a file is read; looks at its beginning only. Raises ``InputError`` naming the defect."""
    return FORMATS[format_of(path, options.format)](path, options)


__all__ = [
    "ENDINGS",
    "FORMATS",
    "base",
    "beginning",
    "delimited",
    "json_lines",
    "microlens",
    "options",
    "parquet",
    "recbole",
]

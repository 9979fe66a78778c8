"""The data set of a cell: its reader, what identifies it, its checked summary."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from bench.config.registry import load_class
from bench.config.schema import CellConfig, build
from bench.disk.files import read_json, write_json
from datasets.cold import without_cold_users
from datasets.errors import InputError
from datasets.interactions import RawDataset
from datasets.poison import PoisonedReader
from datasets.reader import DatasetReader
from datasets.validation import DataSummary, check, summarise


def reader_of(config: CellConfig) -> DatasetReader:
    """The reader of the cell's data set, with the poison that the cell asks for."""
    reader: DatasetReader = load_class("reader", config.dataset.reader)(
        config.dataset.name,
        config.dataset.options,
        config.data_root,
        config.cache.dir / "data" / "checksums.json",
    )
    return reader if config.poison.name == "none" else PoisonedReader(reader, config.poison)


def read_checked(reader: DatasetReader) -> RawDataset:
    """Read and check the data set; held-out pairs of users without a training pair are dropped.

    Raises ``InputError`` naming the defect.
    """
    return without_cold_users(_checked(reader), reader.name)


def _checked(reader: DatasetReader) -> RawDataset:
    raw = reader.read()
    check(raw, reader.name)
    return raw


def summary_of(reader: DatasetReader, key: str, cache: Path) -> DataSummary:
    """Counts of the data set as it was read, computed (with all checks) once per content."""
    path = cache / "data" / f"{key}.json"
    stored = read_json(path)
    known = _summary(stored)
    if known is not None:
        return known
    raw = _checked(reader)
    without_cold_users(raw, reader.name)
    summary = summarise(raw)
    write_json(path, dataclasses.asdict(summary))
    return summary


def _summary(stored: Any) -> DataSummary | None:
    """A summary as it was written; None where JSON of another shape is in its place."""
    fields = {field.name for field in dataclasses.fields(DataSummary)}
    if not isinstance(stored, dict) or stored.keys() != fields:
        return None
    try:
        return build(DataSummary, stored, "dataset")
    except InputError:
        return None


def in_words(name: str, summary: DataSummary) -> str:
    """One line for people: sizes, and what is kept although it is empty."""
    empty = f"{summary.users_without_train:,} users and {summary.items_without_train:,} items"
    zero = ", ".join(f"{rows:,} {modality}" for modality, rows in summary.zero_feature_rows.items() if rows)
    return (
        f"{name}: {summary.num_users:,} users x {summary.num_items:,} items, "
        f"{summary.train:,} / {summary.valid:,} / {summary.test:,} pairs to train / validate / test, "
        f"{empty} without training pairs"
        + _dropped(summary)
        + (f", zero feature rows: {zero}" if zero else "")
    )


def _dropped(summary: DataSummary) -> str:
    pairs = summary.valid_of_cold_users, summary.test_of_cold_users
    return " (the users' {:,} / {:,} held-out pairs are dropped)".format(*pairs) if any(pairs) else ""

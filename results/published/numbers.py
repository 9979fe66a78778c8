"""Numbers that papers print, as data: every number with its source, place, reading and known contradictions.

The files are ``results/published/*.yaml``, one per printed table, transcribed as printed. A column says
which of our metrics it is read as; a note says what is known to be wrong or open about the numbers it
is attached to. Ids like B2.3 number the contradictions found inside TRU v1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from datasets.errors import InputError

FOLDER = Path(__file__).parent


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """Where a table is printed."""

    paper: str
    identifier: str
    place: str


class Column(_Strict):
    """A printed column: its printed name, our metric that it is read as, what it is about."""

    name: str
    metric: str
    better: Literal["higher", "lower", "nearer to 0.5"] | None = None
    """As the paper states it; ours may differ, because the target of an unlearned model is gold."""
    regime: str | None = None
    dataset: str | None = None
    repeats: str | None = None
    """Table that holds the same number, for columns of a secondary source."""

    @property
    def labels(self) -> dict[str, str]:
        """What the column adds to the labels of a row."""
        every = {"regime": self.regime, "dataset": self.dataset}
        return {key: value for key, value in every.items() if value is not None}


class Row(_Strict):
    """A printed row: label values in the order of ``row_labels``, numbers in the order of the columns."""

    labels: tuple[str, ...]
    values: tuple[float | None, ...]
    changes: tuple[float | None, ...] | None = None


class Note(_Strict):
    """What is known about some numbers: those that carry every label of one of ``places`` (None: all)."""

    id: str
    text: str
    places: tuple[dict[str, str | tuple[str, ...]], ...] | None = None

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether the note is about a number with these labels (``metric`` is one of them)."""
        if self.places is None:
            return True
        return any(
            all(_matches(value, labels.get(key)) for key, value in case.items()) for case in self.places
        )


@dataclass(frozen=True)
class PublishedNumber:
    """One printed number. ``labels``: backbone, dataset, regime, method, ... as far as the table tells."""

    table: str
    source: Source
    column: str
    metric: str
    better: str | None
    labels: dict[str, str]
    value: float
    change: float | None
    """As printed beside the value."""
    notes: tuple[Note, ...]


class PublishedTable(_Strict):
    """One printed table."""

    table: str
    source: Source
    unit: str
    row_labels: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]
    changes_against: str | None = None
    """Method that the printed changes refer to."""

    @model_validator(mode="after")
    def _consistent(self) -> PublishedTable:
        for row in self.rows:
            lists = [row.values] + ([row.changes] if row.changes is not None else [])
            if len(row.labels) != len(self.row_labels) or any(len(x) != len(self.columns) for x in lists):
                raise ValueError(f"row {row.labels} does not have one label and one number per column")
        every = [{**number.labels, "metric": number.metric} for number in self.numbers()]
        for note in self.notes:
            for case in note.places or ():
                alone = Note(id=note.id, text=note.text, places=(case,))
                if not any(alone.holds(labels) for labels in every):
                    raise ValueError(f"note {note.id} is attached to no number by {case}")
        ordered = sorted(repr(row.labels) for row in self.rows)
        if any(first == second for first, second in pairwise(ordered)):
            raise ValueError("two rows carry the same labels")
        return self

    def numbers(self) -> Iterator[PublishedNumber]:
        """Every printed number, row by row."""
        for row in self.rows:
            changes = row.changes or (None,) * len(row.values)
            for column, value, change in zip(self.columns, row.values, changes, strict=True):
                if value is None:
                    continue
                labels = {**dict(zip(self.row_labels, row.labels, strict=True)), **column.labels}
                about = {**labels, "metric": column.metric}
                notes = tuple(note for note in self.notes if note.holds(about))
                yield PublishedNumber(
                    self.table,
                    self.source,
                    column.name,
                    column.metric,
                    column.better,
                    labels,
                    value,
                    change,
                    notes,
                )

    def find(self, labels: Mapping[str, str], metric: str) -> PublishedNumber | None:
        """The first number of ``metric`` whose labels all agree with ``labels``."""
        for number in self._by_metric.get(metric, ()):
            if all(labels.get(key, value) == value for key, value in number.labels.items()):
                return number
        return None

    @cached_property
    def _by_metric(self) -> dict[str, list[PublishedNumber]]:
        found: dict[str, list[PublishedNumber]] = {}
        for number in self.numbers():
            found.setdefault(number.metric, []).append(number)
        return found


@cache
def published(table: str) -> PublishedTable:
    """The printed table of this name, e.g. ``tru-table-1``. Raises ``InputError``."""
    path = FOLDER / f"{table.replace('-', '_')}.yaml"
    if not path.is_file():
        raise InputError(f"table={table} has no published numbers: choose one of {', '.join(names())}.")
    return load(path)


def load(path: Path) -> PublishedTable:
    """A checked file of published numbers. Raises ``InputError`` where it does not fit the schema."""
    try:
        return PublishedTable.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{path.name}: {place} is not valid: {first['msg']}.") from error


def names() -> list[str]:
    """Names of all tables with published numbers."""
    return sorted(path.stem.replace("_", "-") for path in FOLDER.glob("*.yaml"))


def _matches(wanted: str | tuple[str, ...], found: str | None) -> bool:
    return found == wanted if isinstance(wanted, str) else found in wanted

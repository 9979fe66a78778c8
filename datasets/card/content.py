"""What a card says, before it is Markdown or a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.interactions import RawDataset
from datasets.item_text import ItemText
from datasets.validation import summarise

Row = tuple[str, str]


@dataclass(frozen=True)
class Section:
    """A titled table of two columns."""

    title: str
    rows: list[Row]


@dataclass(frozen=True)
class Card:
    """A data card; ``degrees`` are training pairs per user and per item, for the plot."""

    name: str
    sections: list[Section]
    degrees: dict[str, NDArray[np.int64]]


def card_of(name: str, raw: RawDataset, provenance: Mapping[str, Any] | None) -> Card:
    """The card of a checked data set; ``provenance`` is that of a prepared one."""
    degrees = {
        "user": np.bincount(raw.train[0], minlength=raw.num_users),
        "item": np.bincount(raw.train[1], minlength=raw.num_items),
    }
    sections = [_size(raw), _degrees(degrees), _cold(raw), _content(raw)]
    if raw.item_text is not None:
        sections.append(_text(raw.item_text))
    if provenance is not None:
        sections += _origin(provenance)
    return Card(name, sections, degrees)


def _size(raw: RawDataset) -> Section:
    pairs = raw.train.shape[1] + raw.valid.shape[1] + raw.test.shape[1]
    density = pairs / (raw.num_users * raw.num_items)
    return Section(
        "Size",
        [
            ("users", _number(raw.num_users)),
            ("items", _number(raw.num_items)),
            ("pairs", _number(pairs)),
            ("to train", _of(raw.train.shape[1], pairs)),
            ("to validate", _of(raw.valid.shape[1], pairs)),
            ("to test", _of(raw.test.shape[1], pairs)),
            ("sparsity", f"{100 * (1 - density):.4f} %"),
        ],
    )


def _degrees(degrees: Mapping[str, NDArray[np.int64]]) -> Section:
    rows: list[Row] = []
    for kind, counts in degrees.items():
        low, median, high = (np.quantile(counts, share) for share in (0.25, 0.5, 0.75))
        quartiles = f"quartiles {low:.0f} / {median:.0f} / {high:.0f}"
        rows.append((f"per {kind}", f"mean {counts.mean():.1f}, {quartiles}, most {counts.max():,}"))
        rows.append((f"{kind}s with at most 5", _of(int((counts <= 5).sum()), len(counts))))
    return Section("Training pairs", rows)


def _cold(raw: RawDataset) -> Section:
    rows: list[Row] = []
    for row, kind, size in ((0, "users", raw.num_users), (1, "items", raw.num_items)):
        warm = np.zeros(size, dtype=bool)
        warm[raw.train[row]] = True
        rows.append((f"{kind} without a training pair", _of(int((~warm).sum()), size)))
        tested = int((~warm[raw.test[row]]).sum())
        rows.append((f"test pairs of such {kind}", _of(tested, raw.test.shape[1])))
    return Section("Cold users and items", rows)


def _content(raw: RawDataset) -> Section:
    summary = summarise(raw)
    rows: list[Row] = []
    for modality, (count, columns) in summary.features.items():
        covered = count - summary.zero_feature_rows[modality]
        rows.append((f"{modality} features", f"{columns} columns, {_of(covered, count)} items with content"))
    rows += [(f"{m} graph", f"{entries:,} entries") for m, entries in summary.item_graphs.items()]
    return Section("Modalities", rows or [("features", "none")])


def _text(texts: tuple[ItemText, ...]) -> Section:
    fields = ("title", "brand", "categories", "description", "price")
    rows = [
        (field, _of(sum(getattr(text, field) not in ("", (), None) for text in texts), len(texts)))
        for field in fields
    ]
    tops = {text.categories[0] for text in texts if text.categories}
    return Section("Item text", [*rows, ("top categories", _number(len(tops)))])


def _origin(provenance: Mapping[str, Any]) -> list[Section]:
    """How a prepared set was made, from its ``provenance.json``."""
    sources = [
        (source["file"], f"{source['bytes']:,} bytes, SHA-256 {source['sha256']}")
        for source in provenance["sources"]
    ]
    steps = [
        (f"{stage}: {key.replace('_', ' ')}", _number(value))
        for stage, counts in provenance["counts"].items()
        for key, value in counts.items()
    ]
    features = [
        (modality, ", ".join(f"{key} {value}" for key, value in notes.items()))
        for modality, notes in provenance["features"].items()
    ]
    options = [(key, json.dumps(value)) for key, value in provenance["options"].items()]
    sections = [Section("Sources", sources), Section("Steps", steps), Section("Options", options)]
    return [*sections, Section("Features", features)] if features else sections


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _of(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / whole:.1f} %)" if whole else "0"

"""Parquet files with string ids: ids, splits, text, features, and every defect by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.cli import main
from datasets.errors import InputError
from datasets.item_text import ItemText
from datasets.readers.parquet import Parquet, ParquetOptions
from datasets.validation import check
from tests.bench.cells import TINY
from tests.datasets.readers.test_recbole import ITEMS, USERS, named, rows

Table = dict[str, list[Any]]
LABELS = ("train", "valid", "test", "train", "train")


def interactions() -> Table:
    content = rows()
    return {
        "user": [row[0] for row in content],
        "item": [row[1] for row in content],
        "timestamp": [row[3] for row in content],
        "split": [LABELS[n % 5] for n in range(len(content))],
    }


def items() -> Table:
    numbers = range(ITEMS + 1)
    return {
        "item": [f"i-{i}" for i in numbers],
        "title": [f"Film {i}" if i != 4 else None for i in numbers],
        "categories": [["drama", "war"] for _ in numbers],
        "price": [1.5 * i for i in numbers],
        "image_feat": [[i, i + 0.5] if i != 4 else None for i in numbers],
    }


def write(folder: Path, **changes: Table) -> None:
    for name, table in {"interactions": interactions(), "items": items(), **changes}.items():
        pq.write_table(pa.table(table), folder / f"{name}.parquet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 users, 20 items, one described item that nobody met."""
    place = tmp_path / "films"
    place.mkdir()
    write(place)
    return place


def reader(folder: Path, **options: Any) -> Parquet:
    return Parquet("films", ParquetOptions(folder.name, **options), folder.parent)


def test_a_given_split_is_kept(folder: Path) -> None:
    raw = reader(folder).read()
    check(raw, "films")
    assert (raw.num_users, raw.num_items) == (USERS, ITEMS)
    for split in ("train", "valid", "test"):
        expected = {row[:2] for n, row in enumerate(rows()) if LABELS[n % 5] == split}
        assert named(raw, split) == expected


def test_numbers_may_stand_for_splits_and_ids(folder: Path) -> None:
    table = interactions()
    table["split"] = [{"train": 0, "valid": 1, "test": 2}[split] for split in table["split"]]
    table["user"] = [int(user[1:]) for user in table["user"]]
    write(folder, interactions=table)
    assert named(reader(folder).read(), "test") == {
        (row[0][1:], row[1]) for n, row in enumerate(rows()) if n % 5 == 2
    }


def test_other_splits(folder: Path) -> None:
    last = {user: item for user, item, *_ in rows()}
    assert named(reader(folder, split="leave_one_out").read(), "test") == set(last.items())
    late = {row[:2] for row in rows()[-24:]}
    assert named(reader(folder, split="temporal").read(), "test") == late
    assert reader(folder, split="random").read().test.shape[1] == USERS


def test_text_and_features_follow_the_ids(folder: Path) -> None:
    raw = reader(folder).read()
    assert raw.item_text is not None
    assert raw.id_maps is not None
    for number, own in enumerate(raw.id_maps.item.own):
        film = int(own.removeprefix("i-"))
        title = "" if film == 4 else f"Film {film}"
        assert raw.item_text[number] == ItemText(title, categories=("drama", "war"), price=1.5 * film)
        assert raw.features["image"][number].tolist() == ([0, 0] if film == 4 else [film, film + 0.5])


def test_items_may_be_missing(folder: Path) -> None:
    (folder / "items.parquet").unlink()
    raw = reader(folder).read()
    assert (raw.features, raw.item_text, reader(folder).modalities()) == ({}, None, ())


def test_identity_follows_files_and_options(folder: Path) -> None:
    before = reader(folder).identity()
    assert reader(folder, split="random").identity() != before
    write(folder, items={**items(), "price": [0.0] * (ITEMS + 1)})
    assert reader(folder).identity() != before


def without(table: Table, column: str) -> Table:
    return {name: values for name, values in table.items() if name != column}


def changed(table: Table, column: str, row: int, value: Any) -> Table:
    return {**table, column: [*table[column][:row], value, *table[column][row + 1 :]]}


DEFECTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda f: (f / "interactions.parquet").unlink(), r"interactions\.parquet is missing"),
    "no parquet": (
        lambda f: (f / "interactions.parquet").write_text("user,item"),
        "is not a readable Parquet file",
    ),
    "no split": (
        lambda f: write(f, interactions=without(interactions(), "split")),
        r"has no column split: add it, or choose dataset\.split=random",
    ),
    "no item": (lambda f: write(f, interactions=without(interactions(), "item")), "has no column item"),
    "strange split": (
        lambda f: write(f, interactions=changed(interactions(), "split", 6, "dev")),
        "row 7 has the split 'dev': use train, valid or test",
    ),
    "no user id": (
        lambda f: write(f, interactions=changed(interactions(), "user", 6, None)),
        "row 7 is without a user",
    ),
    "no vector": (
        lambda f: write(f, items={**items(), "image_feat": [None] * (ITEMS + 1)}),
        "has no vector in image_feat",
    ),
    "short vector": (
        lambda f: write(f, items=changed(items(), "image_feat", 9, [1.0])),
        "row 10 has 1 values in image_feat and not 2",
    ),
    "item twice": (
        lambda f: write(f, items=changed(items(), "item", 9, "i-3")),
        "row 10 describes item 'i-3' again after .*row 4",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_named(folder: Path, defect: str) -> None:
    damage, message = DEFECTS[defect]
    damage(folder)
    with pytest.raises(InputError, match=message) as caught:
        reader(folder).read()
    assert "\n" not in str(caught.value)


def test_options_that_do_not_fit(folder: Path) -> None:
    with pytest.raises(InputError, match="has no column audio_feat: add it or drop the modality"):
        reader(folder, modalities=("audio",)).modalities()
    with pytest.raises(InputError, match="dataset=parquet needs the folder"):
        Parquet("films", ParquetOptions(), folder).identity()


def test_a_cell_runs_on_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = [argument for argument in TINY if not argument.startswith("dataset")]
    chosen = ["dataset=parquet", "dataset.folder=films", "method=graph_only"]
    assert main([*own, *chosen, f"data_root={tmp_path}"]) == 0

"""Item text from every kind of file, beside the interactions of a shop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets.item_text import NOTHING, ItemText
from datasets.item_text_files import read_item_text
from datasets.prepare.sources.options import ItemOptions
from datasets.prepare.texts import has_text, texts_of, write_texts

OWN = np.array(["B0", "B1", "B2", "B3"], dtype=object)
NOT_ONE_OF_OURS = "X9"


def put(folder: Path, name: str, lines: list[Any]) -> Path:
    path = folder / name
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


def described(folder: Path, path: Path, **options: Any) -> tuple[list[ItemText], dict[str, Any]]:
    """The text of all items, and the notes."""
    place = folder / "stage"
    place.mkdir()
    notes = write_texts(ItemOptions((path,), **options), OWN, place)
    return list(texts_of(place, np.arange(len(OWN)))), notes


def test_amazon_2014(tmp_path: Path) -> None:
    """Python literals as well as JSON, a list of paths, entities, a price that is a number."""
    path = put(
        tmp_path,
        "meta.json",
        [
            "{'asin': 'B2', 'title': \"Kid's &amp; cup\", 'categories': [['Baby', 'Cups'], ['Other']], "
            "'price': 12.5, 'brand': 'Öko', 'description': 'Nice &quot;one&quot;', 'related': {'a': None}}",
            {"asin": NOT_ONE_OF_OURS, "title": "other"},
            {"asin": "B0", "categories": [["Baby"]], "salesRank": {}},
        ],
    )
    texts, notes = described(tmp_path, path, format="amazon2014")
    cup = ItemText("Kid's & cup", "Öko", ("Baby", "Cups"), 'Nice "one"', 12.5)
    assert texts == [ItemText(categories=("Baby",)), NOTHING, cup, NOTHING]
    assert notes == {"items_described": 2, "items_with_text": 2, "prices_not_read": 0}


def test_amazon_2018(tmp_path: Path) -> None:
    """One path, a description in parts, a price as text, and texts where a price should be."""
    rows = [
        {
            "asin": "B0",
            "title": "Cup",
            "category": ["Baby", "Cups"],
            "description": ["a", "b"],
            "price": "$1,012.50",
        },
        {"asin": "B1", "title": "Mug", "category": [], "description": [], "price": ".a-box-inner{...}"},
        {"asin": "B3", "title": "Pot", "price": "$3.00 - $9.00", "brand": ""},
    ]
    texts, notes = described(tmp_path, put(tmp_path, "meta.json", rows), format="amazon2018")
    assert texts[0] == ItemText("Cup", "", ("Baby", "Cups"), "a b", 1012.5)
    assert [text.price for text in texts] == [1012.5, None, None, None]
    assert notes["prices_not_read"] == 2


def test_amazon_2023(tmp_path: Path) -> None:
    rows = [
        {
            "parent_asin": "B1",
            "title": "Cup",
            "store": "Öko",
            "main_category": "Baby",
            "categories": ["Baby Products", "Cups"],
            "description": ["a", "b"],
            "price": 3.5,
            "features": ["x"],
        },
        {"parent_asin": "B2", "title": "Mug", "categories": [], "main_category": "Home", "price": None},
    ]
    texts, _ = described(tmp_path, put(tmp_path, "meta.jsonl", rows), format="amazon2023")
    assert texts[1] == ItemText("Cup", "Öko", ("Baby Products", "Cups"), "a b", 3.5)
    assert texts[2] == ItemText("Mug", categories=("Home",))


def microlens(folder: Path) -> Path:
    return put(folder, "titles.csv", ["item,title", 'B1,"Cup, red"', f"{NOT_ONE_OF_OURS},x"])


def tsv(folder: Path) -> Path:
    return put(folder, "titles.tsv", ["title\titem_id", "Cup, red\tB1"])


def atomic(folder: Path) -> Path:
    return put(folder, "films.item", ["item_id:token\ttitle:token_seq", "B1\tCup, red"])


def parquet(folder: Path) -> Path:
    pq.write_table(pa.table({"item": ["B1", "B2"], "title": ["Cup, red", None]}), folder / "t.parquet")
    return folder / "t.parquet"


@pytest.mark.parametrize("write", [microlens, tsv, atomic, parquet])
def test_other_formats(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    texts, _ = described(tmp_path, write(tmp_path))
    assert texts == [NOTHING, ItemText("Cup, red"), NOTHING, NOTHING]


def test_sequences_of_another_separator(tmp_path: Path) -> None:
    path = put(tmp_path, "films.item", ["item_id:token\tgenre:token_seq", "B1\tScience Fiction|War"])
    texts, _ = described(tmp_path, path, seq_separator="|")
    assert texts[1].categories == ("Science Fiction", "War")


def test_the_first_of_several_descriptions(tmp_path: Path) -> None:
    path = put(tmp_path, "t.csv", ["item,title", "B1,a", "B1,b"])
    texts, notes = described(tmp_path, path, duplicates="first")
    assert texts[1].title == "a"
    assert notes["items_described"] == 1


def test_several_files_and_numbers_as_ids(tmp_path: Path) -> None:
    own = np.array(["10", "9"], dtype=object)
    files = (
        put(tmp_path, "a.jsonl", [{"item": 9, "title": "nine"}]),
        put(tmp_path, "b.csv", ["item,title", "10,ten"]),
    )
    write_texts(ItemOptions(files), own, tmp_path)
    assert [text.title for text in texts_of(tmp_path, np.arange(2))] == ["ten", "nine"]


def test_texts_of_some_items_and_the_mask(tmp_path: Path) -> None:
    path = put(tmp_path, "t.csv", ["item,title,price", "B3,c,", "B0,,2", "B1,b,"])
    described(tmp_path, path)
    stage = tmp_path / "stage"
    assert [text.title for text in texts_of(stage, np.array([1, 2, 3]))] == ["b", "", "c"]
    assert has_text(stage, 4).tolist() == [False, True, False, True]  # a price is no word


def test_the_stage_is_a_file_that_readers_take(tmp_path: Path) -> None:
    texts, _ = described(tmp_path, put(tmp_path, "t.csv", ["item,title,categories", "B2,c,a > b"]))
    path = tmp_path / "stage" / "texts.jsonl"
    assert read_item_text(path.rename(path.with_name("item_text.jsonl")), 4) == tuple(texts)

"""Item text: what a file says is what the data set holds; every defect has its sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasets.errors import InputError
from datasets.item_text import NOTHING, ItemText
from datasets.item_text_files import json_line, read_item_text

LAMP = ItemText("Lamp, red", "Öko", ("Home", "Light"), "It shines.\nBright.", 12.5)


def put(folder: Path, text: str, name: str = "item_text.jsonl") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = put(tmp_path, json_line(2, LAMP) + "\n" + json_line(0, ItemText(title="Bag")))
    assert read_item_text(path, 4) == (ItemText(title="Bag"), NOTHING, LAMP, NOTHING)
    assert [bool(text) for text in read_item_text(path, 4)] == [True, False, True, False]


def test_csv(tmp_path: Path) -> None:
    text = (
        '\ufeffprice,itemID,title,junk,categories,brand,description\r\n12.5,2,"Lamp, red",x,Home > Light,Öko,'
    )
    path = put(tmp_path, text + '"It shines.\nBright."\r\n,0,Bag,,,,\r\n', "item_text.csv")
    assert read_item_text(path, 3) == (ItemText(title="Bag"), NOTHING, LAMP)


def test_words_leave_empty_fields_out() -> None:
    assert LAMP.words() == "Lamp, red. Öko. Home. Light. It shines.\nBright."
    assert NOTHING.words() == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not valid JSON"),
        ("[1]", "line 2 is not an object"),
        ('{"title": "x"}', "line 2 has the itemID None: use a whole number from 0 to 3"),
        ('{"itemID": 1.5}', "line 2 has the itemID 1.5"),
        ('{"itemID": true}', "line 2 has the itemID True"),
        ('{"itemID": -1}', "line 2 has the itemID -1"),
        ('{"itemID": 4}', "line 2 has the itemID 4, but there are 4 items"),
        ('{"itemID": 0}', "line 2 describes itemID 0 again after line 1: keep one row per item"),
        ('{"itemID": 1, "title": 3}', "line 2 has the title 3: write text"),
        ('{"itemID": 1, "categories": [["a"]]}', r"line 2 has the categories \[\['a'\]\]: write one path"),
        ('{"itemID": 1, "price": "cheap"}', "line 2 has the price 'cheap': write a number"),
        ('{"itemID": 1, "price": -2}', "line 2 has the price -2"),
        ('{"itemID": 1, "price": NaN}', "line 2 has the price nan"),
    ],
)
def test_each_defect_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = put(tmp_path, '{"itemID": 0}\n' + line + "\n")
    with pytest.raises(InputError, match=rf"item_text\.jsonl, {message}"):
        read_item_text(path, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title\nx\n", "has no column itemID"),
        ('itemID,title\n0,"x\n', "line 2 cannot be read .unexpected end of data."),
        ("itemID,title\n0\n", "line 2 does not have the 2 cells of the header"),
        ("itemID,title\n0,a,b\n", "line 2 does not have the 2 cells of the header"),
    ],
)
def test_each_defect_of_a_csv_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_item_text(put(tmp_path, text, "item_text.csv"), 4)


def test_text_that_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "item_text.jsonl"
    path.write_bytes('{"itemID": 0, "title": "caf\xe9"}'.encode("latin-1"))
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_item_text(path, 1)

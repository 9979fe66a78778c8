"""Maps from own ids: read as MMRec's preprocessing writes them, damaged ones named."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasets.errors import InputError
from datasets.id_maps import FILES, IdMap, dense_ids, maps_of


def put(folder: Path, users: str, items: str = "asin\titemID\nB00X\t0\n") -> Path:
    (folder / FILES["user"]).write_text(users, encoding="utf-8")
    (folder / FILES["item"]).write_text(items, encoding="utf-8")
    return folder


def test_rows_may_come_in_any_order(tmp_path: Path) -> None:
    maps = maps_of(put(tmp_path, "user_id\tuserID\r\nanna\t1\r\nzoë \t0\r\n"))
    assert maps is not None
    assert maps.user.own == ("zoë ", "anna")
    assert maps.of("user").dense(["anna", "zoë ", "anna"], "here").tolist() == [1, 0, 1]
    assert dense_ids("item", ["B00X"], maps, "here").tolist() == [0]


def test_one_file_alone_is_no_map(tmp_path: Path) -> None:
    (tmp_path / FILES["user"]).write_text("user_id\tuserID\n", encoding="utf-8")
    assert maps_of(tmp_path) is None


def test_without_maps_only_numbers_are_known() -> None:
    assert dense_ids("user", ["3", "-1"], None, "here").tolist() == [3, -1]
    with pytest.raises(InputError, match="here has 'anna' where an integer id is needed, because"):
        dense_ids("user", ["3", "anna"], None, "here")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user_id,userID\nanna,0\n", "must have two columns, tab-separated"),
        ("user_id\titemID\nanna\t0\n", "the own id first and userID second"),
        ("", "must have two columns"),
        ("user_id\tuserID\nanna\t0\nben\t2\n", r"line 3 is 'ben\\t2': write .* each number from 0 to 1 once"),
        ("user_id\tuserID\nanna\t0\nben\t0\n", r"line 3 is 'ben\\t0'"),
        ("user_id\tuserID\nanna\t-1\n", r"line 2 is 'anna\\t-1'"),
        ("user_id\tuserID\nanna\n", "line 2 is 'anna'"),
        ("user_id\tuserID\nanna\t0\n\nben\t1\n", "line 3 is ''"),
        ("user_id\tuserID\nanna\t0\nben\t1\nanna\t2\n", "has the own id 'anna' twice"),
    ],
)
def test_damaged_maps_are_named(tmp_path: Path, text: str, message: str) -> None:
    maps = maps_of(put(tmp_path, text))
    assert maps is not None
    with pytest.raises(InputError, match=message):
        _ = maps.user.own


def test_a_map_that_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / FILES["user"]
    path.write_bytes("user_id\tuserID\nren\xe9\t0\n".encode("latin-1"))
    with pytest.raises(InputError, match="is not UTF-8 text"):
        _ = IdMap.of_file("user", path).own

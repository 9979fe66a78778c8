"""Explicit deletion requests from CSV and JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.planning.request import draw, regime_of
from datasets.errors import InputError
from datasets.id_maps import IdMap, IdMaps
from datasets.interactions import InteractionData
from datasets.request_files import ListForm, read_request_file
from datasets.request_options import RequestOptions
from datasets.requests import DeletionRequest
from datasets.validation import DataSummary
from tests.tiny import NUM_ITEMS, NUM_USERS, tiny_data

DATA = tiny_data()
PAIRS = DATA.train[:, [0, 8, 30]].t().tolist()
SUMMARY = DataSummary(NUM_USERS, NUM_ITEMS, DATA.train.shape[1], 1, 1, 0, 0)


def put(folder: Path, content: object, suffix: str = ".json") -> str:
    path = folder / f"request{suffix}"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def request(path: str, regime: str, data: InteractionData = DATA) -> DeletionRequest:
    return draw(RequestOptions(name=regime, file=path, count=1), data)


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        ([5, 2, 5], ".json"),
        ([[2], [5]], ".json"),
        ({"users": [2, 5], "items": [1]}, ".json"),
        ("userID\n5\n2\n", ".csv"),
        ("\ufeffreason,userID\r\nleft,2\r\nasked,5\r\n", ".CSV"),
    ],
)
def test_users(tmp_path: Path, content: object, suffix: str) -> None:
    drawn = request(put(tmp_path, content, suffix), "user")
    assert drawn.users.tolist() == [2, 5]
    assert torch.equal(drawn.forget, DATA.train[:, torch.isin(DATA.train[0], torch.tensor([2, 5]))])


@pytest.mark.parametrize(("content", "suffix"), [({"items": [4]}, ".json"), ("itemID\n4\n", ".csv")])
def test_items(tmp_path: Path, content: object, suffix: str) -> None:
    drawn = request(put(tmp_path, content, suffix), "item")
    assert drawn.items.tolist() == [4]
    assert drawn.forget[1].unique().tolist() == [4]


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (PAIRS, ".json"),
        ({"interactions": PAIRS[::-1]}, ".json"),
        ("itemID,userID\n" + "".join(f"{i},{u}\n" for u, i in PAIRS), ".csv"),
    ],
)
def test_interactions(tmp_path: Path, content: object, suffix: str) -> None:
    path = put(tmp_path, content, suffix)
    drawn = request(path, "interaction")
    assert torch.equal(drawn.forget, DATA.train[:, [0, 8, 30]])
    assert drawn.apply(DATA).train.shape[1] == DATA.train.shape[1] - 3
    assert regime_of(RequestOptions(name="interaction", file=path)).size(SUMMARY, None) == 3


USER = ListForm("user", ("user",), "users")

FAULTS: list[tuple[object, str, str, str]] = [
    ("2\n", ".txt", "user", "is of an unknown type: use a .csv or a .json file"),
    ("{", ".json", "user", "is not valid JSON"),
    ({"users": [1]}, ".json", "item", 'holds no list for regime.name=item.*"items"'),
    (3, ".json", "user", "holds no list"),
    ([], ".json", "user", "lists nothing to forget"),
    ("userID\n", ".csv", "user", "lists nothing to forget"),
    ("", ".csv", "user", "has no column userID"),
    ("person\n1\n", ".csv", "user", "has no column userID"),
    ("userID\n1\n", ".csv", "interaction", "has no column itemID.*userID,itemID"),
    ("userID\nanna\n", ".csv", "user", "has 'anna' where an integer id"),
    ("userID,itemID\n1\n", ".csv", "interaction", "has None where an integer id"),
    ("user,item\n1\n", ".csv", "interaction", "has a row that is too short"),
    (
        ["anna"],
        ".json",
        "user",
        "has 'anna' where an integer id is needed, because this data set has no files",
    ),
    (["1", 2], ".json", "user", "has both '1' and 2: write all ids as numbers"),
    ([1.5], ".json", "user", "has 1.5 where an integer id"),
    ([True], ".json", "user", "has True where an integer id"),
    ([1, 2], ".json", "interaction", r"has the entry 1, but .* needs \[userID, itemID\]"),
    ([[1, 2]], ".json", "user", r"has the entry \[1, 2\], but .* needs \[userID\]"),
    ([NUM_USERS], ".json", "user", f"names userID {NUM_USERS}, which is out of range: use ids from 0 to 39"),
    ([-1], ".json", "item", "names itemID -1, which is out of range"),
    ([[0, NUM_ITEMS]], ".json", "interaction", f"names itemID {NUM_ITEMS}, which is out of range"),
]


@pytest.mark.parametrize(("content", "suffix", "regime", "message"), FAULTS)
def test_each_fault_is_named_with_and_without_data(
    tmp_path: Path, content: object, suffix: str, regime: str, message: str
) -> None:
    path = put(tmp_path, content, suffix)
    with pytest.raises(InputError, match=message):
        request(path, regime)
    with pytest.raises(InputError, match=message):
        regime_of(RequestOptions(name=regime, file=path)).size(SUMMARY, None)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"regime.file=.*none\.csv does not exist"):
        read_request_file(str(tmp_path / "none.csv"), USER)


def test_pair_outside_the_training_split(tmp_path: Path) -> None:
    held_out = DATA.test[:, 0].tolist()
    with pytest.raises(
        InputError, match=rf"names the pair \({held_out[0]}, {held_out[1]}\), which is not in"
    ):
        request(put(tmp_path, [*PAIRS, held_out]), "interaction")


def test_user_without_training_pairs(tmp_path: Path) -> None:
    cold = replace(DATA, train=DATA.train[:, DATA.train[0] != 6])
    with pytest.raises(InputError, match="names user 6, which has no training pair"):
        request(put(tmp_path, [5, 6]), "user", cold)


@pytest.mark.parametrize(
    ("regime", "content"),
    [
        ("user", list(range(NUM_USERS))),
        ("item", DATA.train[1].unique().tolist()),
        ("interaction", DATA.train.t().tolist()),
    ],
)
def test_forgetting_everything_is_refused(tmp_path: Path, regime: str, content: object) -> None:
    with pytest.raises(InputError, match="leaves no training pair: ask for fewer"):
        request(put(tmp_path, content), regime)


OWN = IdMaps(
    IdMap("user", lambda: [f"U-{39 - u}" for u in range(NUM_USERS)]),
    IdMap("item", lambda: [str(1000 + i) for i in range(NUM_ITEMS)]),
)


@pytest.mark.parametrize(
    ("content", "suffix", "regime", "expected"),
    [
        (["U-34", "U-37"], ".json", "user", [2, 5]),
        ({"users": ["U-34", "U-37"]}, ".json", "user", [2, 5]),
        ("user\nU-34\nU-37\n", ".csv", "user", [2, 5]),
        ("userID\n2\n5\n", ".csv", "user", [2, 5]),
        ("userID,user\n2,U-0\n", ".csv", "user", [2]),
        (["1004"], ".json", "item", [4]),
        ([4], ".json", "item", [4]),
        ("item\n1004\n", ".csv", "item", [4]),
    ],
)
def test_own_ids(tmp_path: Path, content: object, suffix: str, regime: str, expected: list[int]) -> None:
    """Texts and the columns user and item are own ids, even where they look like numbers."""
    path = put(tmp_path, content, suffix)
    drawn = request(path, regime, replace(DATA, id_maps=OWN))
    assert (drawn.users if regime == "user" else drawn.items).tolist() == expected
    assert regime_of(RequestOptions(name=regime, file=path)).size(SUMMARY, OWN) == len(expected)


def test_own_pairs(tmp_path: Path) -> None:
    text = "item,user\n" + "".join(f"{OWN.item.own[i]},{OWN.user.own[u]}\n" for u, i in PAIRS)
    drawn = request(put(tmp_path, text, ".csv"), "interaction", replace(DATA, id_maps=OWN))
    assert torch.equal(drawn.forget, DATA.train[:, [0, 8, 30]])


@pytest.mark.parametrize(("regime", "content"), [("user", ["U-1", "U-77"]), ("item", ["7"])])
def test_unknown_own_ids_are_named(tmp_path: Path, regime: str, content: list[str]) -> None:
    path = put(tmp_path, content)
    message = f"names the {regime} '{content[-1]}', whom this data set does not have"
    with pytest.raises(InputError, match=message):
        request(path, regime, replace(DATA, id_maps=OWN))
    with pytest.raises(InputError, match=message):
        regime_of(RequestOptions(name=regime, file=path)).size(SUMMARY, OWN)


def test_text_that_is_no_utf8(tmp_path: Path) -> None:
    (tmp_path / "request.csv").write_bytes("user\nren\xe9\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"regime.file=.*request\.csv is not UTF-8 text"):
        read_request_file(str(tmp_path / "request.csv"), USER)

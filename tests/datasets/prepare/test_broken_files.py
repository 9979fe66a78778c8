"""Every kind of broken file gets one sentence; nothing is written to the place of the data set."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.datasets.prepare.raw import content, item, orders, prepare, refused, write_csv, write_shop

HEADER = "user,item,rating,timestamp"
TEXT = HEADER + "\na,x,5,1\n"


def interactions(name: str, body: str | bytes, *arguments: str) -> Callable[[Path], list[str]]:
    def put(folder: Path) -> list[str]:
        (folder / name).write_bytes(body if isinstance(body, bytes) else body.encode())
        return ["--interactions", str(folder / name), *arguments]

    return put


def parquet(columns: dict[str, list[object]]) -> Callable[[Path], list[str]]:
    def put(folder: Path) -> list[str]:
        pq.write_table(pa.table(columns), folder / "rows.parquet")
        return ["--interactions", str(folder / "rows.parquet")]

    return put


JSON = '{"reviewerID": "a", "asin": "x", "overall": 5.0, "unixReviewTime": 1}\n'
ATOMIC = "user_id:token\titem_id:token\trating:float\n"

INTERACTIONS: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "missing": (lambda f: ["--interactions", str(f / "no.csv")], r"no\.csv does not exist"),
    "a folder": (lambda f: ["--interactions", str(f / "pictures"), "--format", "csv"], "is not a file"),
    "unknown ending": (interactions("a.xls", TEXT), r"a\.xls has the ending '\.xls', .*--format"),
    "empty": (interactions("a.csv", ""), r"a\.csv is empty"),
    "blank": (interactions("a.csv", "\n\n"), r"a\.csv is empty"),
    "header only": (interactions("a.csv", HEADER + "\n"), r"a\.csv has no rows"),
    "short row": (
        interactions("a.csv", TEXT + "b,y,4\n"),
        r"a\.csv, line 3 has 3 cells and not 4, its text is 'b,y,4'",
    ),
    "long row": (interactions("a.csv", TEXT + "b,y,4,1,9\n"), "line 3 has 5 cells and not 4"),
    "open quote": (interactions("a.csv", TEXT + 'b,"y,4,1\n'), "line 3 has a double quote that does not end"),
    "no user id": (interactions("a.csv", TEXT + ",y,4,1\n"), r"row 2 below the header is without a user"),
    "no item id": (interactions("a.csv", TEXT + "b,,4,1\n"), "row 2 below the header is without an item"),
    "tab in an id": (
        interactions("a.csv", TEXT + '"b\tc",y,4,1\n'),
        r"row 2 below the header has the user 'b\\tc' with a control character",
    ),
    "line end in an id": (
        interactions("a.csv", TEXT + 'b,"y\nz",4,1\n'),
        r"row 2 below the header has the item 'y\\nz' with a control character",
    ),
    "rating nan": (
        interactions("a.csv", TEXT + "b,y,nan,1\n"),
        r"row 2 below the header has the rating 'nan': write a finite number, or .*--rating-column none",
    ),
    "rating infinite": (interactions("a.csv", TEXT + "b,y,-inf,1\n"), "has the rating '-inf'"),
    "rating a word": (interactions("a.csv", TEXT + "b,y,good,1\n"), "has the rating 'good'"),
    "rating empty": (interactions("a.csv", TEXT + "b,y,,1\n"), "row 2 below the header has no rating"),
    "time a word": (
        interactions("a.csv", TEXT + "b,y,4,noon\n"),
        "has the time 'noon': write a number or a date",
    ),
    "time empty": (interactions("a.csv", TEXT + "b,y,4,\n"), "row 2 below the header has no time"),
    "latin-1": (
        interactions("a.csv", (TEXT + "ren\xe9,y,4,1\n").encode("latin-1")),
        r"a\.csv, line 3 is not UTF-8",
    ),
    "utf-16": (interactions("a.csv", TEXT.encode("utf-16")), "is UTF-16 text: save the file again as UTF-8"),
    "binary": (interactions("a.csv", b"user,item\n\x00\x01"), "line 2 holds a zero byte"),
    "zip": (interactions("a.csv", b"PK\x03\x04rest"), "is a zip archive: unpack it"),
    "parquet by a wrong name": (
        interactions("a.csv", b"PAR1rest"),
        "is a Parquet file: state --format parquet",
    ),
    "gzip cut off": (
        interactions("a.csv.gz", gzip.compress((TEXT + "a,y,4,1\n" * 100_000).encode())[:-400]),
        r"a\.csv\.gz is cut off or damaged",
    ),
    "gzip header only": (
        interactions("a.csv.gz", gzip.compress(TEXT.encode())[:12]),
        "is cut off or damaged",
    ),
    "no gzip": (interactions("a.csv.gz", TEXT), "is called .gz but is not compressed with gzip"),
    "wrong separator": (
        interactions("a.csv", TEXT.replace(",", ";")),
        "has no column for the user .*--user-column, its columns are user;item;rating;timestamp",
    ),
    "column twice": (interactions("a.csv", "user,item,user\na,x,b\n"), "has the column 'user' twice"),
    "stated column missing": (
        interactions("a.csv", TEXT, "--item-column", "asin"),
        "has no column asin, which --item-column names",
    ),
    "no ratings to filter": (
        interactions("a.csv", "user,item\na,x\n", "--min-rating", "3"),
        r"--min-rating 3\.0 needs ratings and the files have none",
    ),
    "all rated too low": (
        interactions("a.csv", TEXT, "--min-rating", "6"),
        r"--min-rating 6\.0 leaves none of 1 rows",
    ),
    "no times to split by": (
        interactions("a.csv", "user,item\na,x\n", "--split", "temporal"),
        r"--split temporal needs times and .*a\.csv has none",
    ),
    "order within users only": (
        interactions("m_pairs.tsv", "1\t5 6 7\n", "--format", "microlens", "--split", "temporal"),
        "needs times that hold across users",
    ),
    "duplicates refused": (
        interactions("a.csv", TEXT + "a,x,4,2\n", "--duplicates", "error"),
        "user 'a' and item 'x' come together in more than one row",
    ),
    "nothing in the core": (interactions("a.csv", TEXT), "--k-core 5 leaves no pair: lower it"),
    "an empty split": (
        interactions("a.csv", TEXT, "--k-core", "0"),
        "--split random leaves the valid split empty",
    ),
    "json broken": (
        interactions("a.jsonl", JSON * 300 + '{"reviewerID": "b", asin}\n' + JSON),
        r"a\.jsonl, line 301 is not valid JSON .* it begins with",
    ),
    "json cut off": (
        interactions("a.jsonl", JSON * 300 + JSON[:20]),
        r"a\.jsonl, line 301 is not valid JSON",
    ),
    "json no object": (interactions("a.jsonl", JSON + "[1, 2]\n"), r"a\.jsonl, line 2 is not an object"),
    "json without an item": (
        interactions("a.jsonl", JSON * 200 + '{"reviewerID": "b"}\n'),
        "row 201 is without an item",
    ),
    "json rating a word": (
        interactions("a.jsonl", JSON + JSON.replace("5.0", '"five"')),
        "row 2 has the rating 'five'",
    ),
    "json latin-1": (
        interactions("a.jsonl", (JSON * 200).encode() + JSON.replace("x", "\xe9").encode("latin-1")),
        r"a\.jsonl, line 201 holds the bytes e9, which are not UTF-8",
    ),
    "json of another edition": (
        interactions("a.jsonl", JSON, "--format", "amazon2023"),
        "has no column user_id, which --user-column names",
    ),
    "parquet damaged": (interactions("a.parquet", b"PAR1 and no more"), "is not a readable Parquet file"),
    "parquet null": (
        parquet({"user": ["a", None], "item": ["x", "y"]}),
        r"rows\.parquet, row 2 is without a user",
    ),
    "parquet nan": (
        parquet({"user": ["a"], "item": ["x"], "rating": [float("nan")]}),
        "row 1 has the rating 'nan'",
    ),
    "atomic without types": (
        interactions("a.inter", ATOMIC.replace(":token", "")),
        "has the field 'user_id' in its header: RecBole writes name:type",
    ),
    "atomic short row": (interactions("a.inter", ATOMIC + "1\t2\n"), "line 2 has 2 cells and not 3"),
    "mixed files": (
        lambda f: [
            *interactions("a.csv", TEXT)(f),
            str(write_csv(f / "b.csv", "user,item,timestamp", [("a", "y", "1")])),
        ],
        "some files have ratings and others have not: leave them out with --rating-column none",
    ),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound shop, beside which broken files are put."""
    return write_shop(tmp_path_factory.mktemp("shop"))


@pytest.mark.parametrize("defect", INTERACTIONS)
def test_broken_interactions(shop: Path, capsys: pytest.CaptureFixture[str], defect: str) -> None:
    arguments, message = INTERACTIONS[defect]
    error = refused(shop, capsys, *arguments(shop))
    assert re.search(message, error), error


def items(name: str, body: str | bytes, *arguments: str) -> Callable[[Path], list[str]]:
    def put(folder: Path) -> list[str]:
        (folder / name).write_bytes(body if isinstance(body, bytes) else body.encode())
        return ["--items", str(folder / name), *arguments]

    return put


def images(names: dict[str, bytes]) -> Callable[[Path], list[str]]:
    def put(folder: Path) -> list[str]:
        place = folder / f"images {len(list(folder.iterdir()))}"
        place.mkdir()
        for name, body in names.items():
            (place / name).write_bytes(body)
        return ["--images", str(place)]

    return put


def features(**arrays: np.ndarray) -> Callable[[Path], list[str]]:
    def put(folder: Path) -> list[str]:
        np.savez(folder / "vectors.npz", **arrays)
        return ["--features", f"image={folder / 'vectors.npz'}"]

    return put


def given(name: str, body: bytes) -> Callable[[Path], list[str]]:
    def put(folder: Path) -> list[str]:
        (folder / name).write_bytes(body)
        return ["--features", f"image={folder / name}"]

    return put


IDS = np.array([item(i) for i in range(40)])
VECTORS = np.ones((40, 3), dtype=np.float32)


def spoilt(value: float) -> np.ndarray:
    vectors = VECTORS.copy()
    vectors[7, 1] = value
    return vectors


PNG = b"\x89PNG\r\n\x1a\n broken"

CONTENT: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "text missing": (lambda f: ["--items", str(f / "no.csv")], r"no\.csv does not exist"),
    "text without ids": (
        items("t.csv", "name,price\nlamp,3\n"),
        "has no field for the item .*--items-id-column",
    ),
    "stated id missing": (items("t.csv", "item\nB0000\n", "--items-id-column", "sku"), r"the item \(sku\)"),
    "text short row": (items("t.csv", "item,title\nB0000\n"), r"t\.csv, line 2 has 1 cells and not 2"),
    "text open quote": (items("t.csv", 'item,title\nB0000,"x\n'), r"t\.csv, line 2 cannot be read"),
    "text latin-1": (
        items("t.csv", "item,title\nB0000,caf\xe9\n".encode("latin-1")),
        r"t\.csv, line 2 holds the bytes e9, which are not UTF-8",
    ),
    "text without an id": (items("t.csv", "item,title\n,x\n"), r"t\.csv, line 2 has '' as its item"),
    "item twice": (
        items("t.csv", "item,title\nB0000,x\nB0001,y\nB0000,z\n"),
        r"t\.csv, line 4 describes item 'B0000' again after .*line 2.*--items-duplicates first",
    ),
    "no known item": (
        items("t.csv", "item,title\nX1,x\n"),
        "describes none of the 40 items of the interactions, the first of which is 'B0000'",
    ),
    "price a word": (items("t.csv", "item,price\nB0000,cheap\n"), r"t\.csv, line 2 has the price 'cheap'"),
    "title a number": (
        items("t.jsonl", '{"item": "B0000", "title": 3}\n'),
        "line 1 has the title 3: write text",
    ),
    "text json broken": (
        items("t.jsonl", '{"item": "B0000"}\n{"item"}\n'),
        r"t\.jsonl, line 2 is not valid JSON",
    ),
    "literals broken": (
        items("t.json", "{'asin': 'B0000'}\n{'asin': }\n", "--items-format", "amazon2014"),
        r"t\.json, line 2 is not valid JSON",
    ),
    "atomic item short": (
        items("t.item", "item_id:token\ttitle:token\nB0000\n"),
        "line 2 has 1 cells and not 2",
    ),
    "pictures missing": (lambda f: ["--images", str(f / "no")], "--images .*no is not a folder"),
    "no picture": (images({"readme.txt": b"x"}), "holds no picture"),
    "no picture of an item": (images({"X1.png": PNG}), r"has no picture of any item: .* such as B0000\.jpg"),
    "two pictures": (images({"B0000.png": PNG, "B0000.jpg": PNG}), r"has both B0000\.jpg and B0000\.png"),
    "broken picture": (
        images({"B0000.png": PNG, "B0001.jpg": b"", "X.png": PNG}),
        r"B0000\.png \(and 1 more\) cannot be decoded .*--broken-images missing",
    ),
    "features missing": (lambda f: ["--features", f"image={f / 'no.npz'}"], r"no\.npz does not exist"),
    "features of no type": (
        given("v.txt", b"1 2"),
        r"v\.txt is of an unknown type: use \.npz, \.parquet, \.b",
    ),
    "features without a file": (lambda f: ["--features", "image"], "is not MODALITY=FILE"),
    "strange modality": (lambda f: ["--features", "My Pics=x.npz"], "is no name of a modality"),
    "features damaged": (given("v.npz", b"PK\x03\x04 broken"), "does not hold the arrays ids and vectors"),
    "features without ids": (features(vectors=VECTORS), "does not hold the arrays ids and vectors"),
    "pickled features": (features(ids=IDS.astype(object), vectors=VECTORS), "does not hold the arrays"),
    "other length": (features(ids=IDS[:-1], vectors=VECTORS), r"has 39 ids of type .* shape \(40, 3\)"),
    "nan features": (
        features(ids=IDS, vectors=spoilt(np.nan)),
        "row 8 has NaN or infinite values for item 'B0007'",
    ),
    "infinite features": (features(ids=IDS, vectors=spoilt(np.inf)), "row 8 has NaN or infinite values"),
    "item twice in features": (
        features(ids=np.r_[IDS[:-1], IDS[:1]], vectors=VECTORS),
        "row 40 gives item 'B0000' again",
    ),
    "features of nobody": (
        features(ids=np.char.add("X", IDS), vectors=VECTORS),
        "has features of none of the 40 items, the first of which is 'B0000'",
    ),
    "amazon features cut off": (given("v.b", b"x" * 100), "has 100 bytes, no multiple of 16394"),
    "unknown extractor": (
        lambda f: [*content(f), "--text-features", "word2vec"],
        "--text-features word2vec is not known: choose tfidf, sentence-transformers or none",
    ),
    "extractor without content": (lambda f: ["--image-features", "histogram"], "histogram needs --images"),
}


@pytest.mark.parametrize("defect", CONTENT)
def test_broken_content(shop: Path, capsys: pytest.CaptureFixture[str], defect: str) -> None:
    arguments, message = CONTENT[defect]
    error = refused(shop, capsys, *arguments(shop))
    assert re.search(message, error), error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--k-core", "-1"], "--k-core -1 is not valid: input should be greater than or equal to 0"),
        (["--split", "temporal", "--valid-share", "0.5", "--test-share", "0.5"], "leave nothing to train on"),
        (["--test-share", "1.5"], "--test-share 1.5 is not valid"),
        (["--memory-gib", "0.5"], "--memory-gib 0.5 is not valid"),
    ],
)
def test_senseless_options(
    shop: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in refused(shop, capsys, *arguments)


@pytest.mark.parametrize("name", ["Shop", "my shop", "", "a/b", "..", "é", "x" * 65])
def test_names_that_are_refused(shop: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert prepare(shop, name=name) == 2
    assert "the data set cannot be called" in capsys.readouterr().err


def test_a_sound_shop_is_taken(shop: Path, tmp_path: Path) -> None:
    """What the broken ones differ from is good."""
    assert orders()
    assert prepare(shop, *content(shop), "--out", str(tmp_path / "shop")) == 0

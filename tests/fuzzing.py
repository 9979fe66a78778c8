"""Hostile configurations and damaged files: what is drawn, and what may come of it.

Whatever is drawn, the answer is a plan or one sentence (``InputError``), never another exception.
``tests/bench/test_fuzz.py`` draws a few, ``python -m tests.programs.fuzz`` as many as there is time for.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from hydra import initialize_config_dir
from hypothesis import strategies as st

from bench.config.compose import _compose as composed
from bench.config.compose import expand, plain
from bench.config.schema import CONFIG_DIR
from bench.planning.dataset import read_checked
from bench.planning.request import draw
from datasets.errors import InputError
from datasets.folder import Folder, FolderOptions
from datasets.interactions import to_torch
from datasets.request_options import RequestOptions

USERS, ITEMS = 12, 10
LONGEST = 4000
"""Characters of a sentence; lists of what is known are the longest part."""
HOSTILE = (
    *(
        "null",
        "''",
        "true",
        "-1",
        "0",
        "1e400",
        "-1e400",
        "nan",
        "inf",
        "1e-320",
        str(2**63),
        str(2**64),
        "9" * 500,
    ),
    *(
        "[]",
        "{}",
        "[null]",
        "{a: 1}",
        "[[[[1]]]]",
        "../../x",
        "/dev/null",
        "'a\\nb'",
        "'<b>x</b>|`'",
        "o\\'neil",
    ),
    *(
        "${seed}",
        "${nope}",
        "${oc.env:NOPE}",
        "'${'",
        "range(0)",
        "range(3)",
        "glob(*)",
        "choice(1,2)",
        "x" * 5000,
    ),
    *("sqlite:///", "http://", "_", ".", "..", "-", "\u0000", "\ud7ff", "\u202e", "é"),
)
WORDS = (
    "-1",
    "0",
    "1",
    str(2**31),
    str(2**63),
    "9" * 5000,
    "1e5",
    "nan",
    "",
    " ",
    "x",
    "\u0663",
    "1_0",
    "+1",
    "0x1",
)
"""For a cell of a text file."""


def keys() -> list[str]:
    """Every key of the default configuration, groups among them."""
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3", job_name="bench"):
        return _flat(plain(composed((), with_hydra=False)))


def _flat(values: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key, value in values.items():
        found.append(prefix + key)
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key}.")
    return found


def overrides() -> st.SearchStrategy[list[str]]:
    """A few overrides of keys that there are, or nearly are."""
    printable = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=12)
    values = st.one_of(
        st.sampled_from(HOSTILE),
        st.integers().map(str),
        st.floats().map(str),
        printable,
        printable.map(lambda text: "'" + text.replace("'", "\\'") + "'"),
    )
    signs = st.sampled_from(["", "", "", "", "+", "++", "~"])
    one = st.builds(
        lambda sign, key, value: f"{sign}{key}={value}", signs, st.sampled_from(keys()) | printable, values
    )
    return st.lists(one, min_size=1, max_size=3)


def check_overrides(drawn: list[str], multirun: bool) -> None:
    """A configuration composes, or one sentence says why it does not."""
    try:
        expand(["dataset=synthetic_tiny", *drawn], multirun)
    except InputError as error:
        check_sentence(str(error))


def check_sentence(sentence: str) -> None:
    """One line of a length that can be read."""
    assert "\n" not in sentence, sentence
    assert 0 < len(sentence) < LONGEST, len(sentence)


@dataclass(frozen=True)
class Damage:
    """What is done to which file."""

    file: str
    change: Callable[[bytes], bytes]


def write_shop(folder: Path) -> None:
    """A small sound data set with every kind of file, and two requests."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [(u, (u + step) % ITEMS, max(0, step - 4)) for u in range(USERS) for step in range(7)]
    lines = ["userID\titemID\tx_label", *("\t".join(map(str, row)) for row in rows)]
    (folder / "shop.inter").write_text("\n".join(lines) + "\n")
    generator = np.random.default_rng(0)
    np.save(folder / "image_feat.npy", generator.normal(size=(ITEMS, 3)).astype(np.float32))
    sp.save_npz(folder / "text_knn10.npz", sp.csr_array(np.eye(ITEMS) + np.eye(ITEMS, k=1)))
    texts = [
        json.dumps({"itemID": i, "title": f"item {i}", "price": 1.5, "categories": ["a", "b"]})
        for i in range(ITEMS)
    ]
    (folder / "item_text.jsonl").write_text("\n".join(texts) + "\n")
    for name, column, count in (("u_id_mapping.csv", "userID", USERS), ("i_id_mapping.csv", "itemID", ITEMS)):
        own = [f"own\t{column}", *(f"o{index}\t{index}" for index in range(count))]
        (folder / name).write_text("\n".join(own) + "\n")
    (folder / "request.csv").write_text("userID\n1\n2\n")
    (folder / "request.json").write_text('{"users": [1, "o2"]}'.replace('"o2"', "2"))


FILES = (
    "shop.inter",
    "image_feat.npy",
    "text_knn10.npz",
    "item_text.jsonl",
    "u_id_mapping.csv",
    "i_id_mapping.csv",
)
REQUESTS = ("request.csv", "request.json")


def damages() -> st.SearchStrategy[Damage]:
    """Bytes changed at random, and changes that a program which writes such files might make."""
    texts = tuple(name for name in (*FILES, *REQUESTS) if not name.endswith(("npy", "npz")))
    return st.one_of(
        st.builds(
            Damage, st.sampled_from((*FILES, *REQUESTS)), st.one_of(_flipped(), _cut(), _inserted(), _whole())
        ),
        st.builds(Damage, st.sampled_from(texts), _cell()),
        st.builds(Damage, st.just("image_feat.npy"), _array()),
        st.builds(Damage, st.just("text_knn10.npz"), _graph()),
        st.builds(Damage, st.sampled_from(["request.json", "item_text.jsonl"]), _json()),
    )


def _flipped() -> st.SearchStrategy[Callable[[bytes], bytes]]:
    def flip(place: float, value: int) -> Callable[[bytes], bytes]:
        def change(content: bytes) -> bytes:
            at = int(place * (len(content) - 1))
            return content[:at] + bytes([value]) + content[at + 1 :]

        return change

    return st.builds(flip, st.floats(0, 1), st.integers(0, 255))


def _cut() -> st.SearchStrategy[Callable[[bytes], bytes]]:
    return st.floats(0, 1).map(lambda share: lambda content: content[: int(share * len(content))])


def _inserted() -> st.SearchStrategy[Callable[[bytes], bytes]]:
    def insert(place: float, more: bytes) -> Callable[[bytes], bytes]:
        return lambda content: (
            content[: int(place * len(content))] + more + content[int(place * len(content)) :]
        )

    return st.builds(insert, st.floats(0, 1), st.binary(min_size=1, max_size=30))


def _whole() -> st.SearchStrategy[Callable[[bytes], bytes]]:
    return st.sampled_from(
        [
            gzip.compress,
            lambda _: b"",
            lambda _: b"\x00" * 200,
            lambda content: content.decode("latin-1").encode("utf-16"),
            lambda content: b"\xef\xbb\xbf" + content,
            lambda content: content.replace(b"\n", b"\r\n"),
            lambda content: content * 2,
            lambda content: content + b"," + b"x" * 300_000,
        ]
    )


def _cell() -> st.SearchStrategy[Callable[[bytes], bytes]]:
    def put(place: float, word: str) -> Callable[[bytes], bytes]:
        def change(content: bytes) -> bytes:
            cells = content.decode().split("\t" if b"\t" in content else "\n")
            cells[int(place * (len(cells) - 1))] = word
            return ("\t" if b"\t" in content else "\n").join(cells).encode()

        return change

    return st.builds(put, st.floats(0, 1), st.sampled_from(WORDS) | st.integers().map(str))


def _array() -> st.SearchStrategy[Callable[[bytes], bytes]]:
    arrays: list[Any] = [
        np.zeros((ITEMS, 0)),
        np.zeros(ITEMS),
        np.zeros((ITEMS, 2, 2)),
        np.full((ITEMS, 2), 1e300),
        np.full((ITEMS, 2), np.nan),
        np.full((ITEMS, 2), 1j),
        np.full((ITEMS, 2), "x"),
        np.zeros((ITEMS, 2), dtype=[("a", "f4")]),
        np.zeros((ITEMS, 2), dtype="M8[s]"),
        np.array(3.0),
        np.full((ITEMS, 2), -(2**63), dtype=np.int64),
        np.full((ITEMS, 2), np.finfo(np.longdouble).max, dtype=np.longdouble),
        np.full((ITEMS, 2), 7, dtype=np.float16),
    ]
    return st.sampled_from(arrays).map(lambda array: lambda _: _saved(lambda file: np.save(file, array)))


def _graph() -> st.SearchStrategy[Callable[[bytes], bytes]]:
    whole = {"data": np.ones(ITEMS), "indices": np.arange(ITEMS), "indptr": np.arange(ITEMS + 1)}
    whole |= {"shape": np.array([ITEMS, ITEMS]), "format": np.array(b"csr")}
    numbers = st.integers(-(2**40), 2**40)

    def put(part: str, place: float, value: int) -> Callable[[bytes], bytes]:
        changed = np.array(whole[part], dtype=np.int64)
        changed[int(place * (len(changed) - 1))] = value
        return lambda _: _saved(lambda file: np.savez(file, **{**whole, part: changed}))

    def instead(part: str, value: Any) -> Callable[[bytes], bytes]:
        return lambda _: _saved(lambda file: np.savez(file, **{**whole, part: value}))

    others = st.sampled_from(
        [
            np.array(b"coo"),
            np.array("x"),
            np.ones(ITEMS) * 1j,
            np.full(ITEMS, "x"),
            np.ones(3),
            np.full(ITEMS, np.inf),
        ]
    )
    return st.one_of(
        st.builds(put, st.sampled_from(["indices", "indptr", "shape"]), st.floats(0, 1), numbers),
        st.builds(instead, st.sampled_from(sorted(whole)), others),
    )


def _json() -> st.SearchStrategy[Callable[[bytes], bytes]]:
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    values = st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["users", "itemID", "title", "price", "categories", "x"]), inner
            )
        ),
        max_leaves=8,
    )
    deep = st.sampled_from(
        ["[" * 100_000, "9" * 5000, '{"users": [' + "9" * 5000 + "]}", '{"users":' * 50_000]
    )
    return (values.map(json.dumps) | deep).map(lambda text: lambda _: text.encode())


def _saved(write: Callable[[Any], None]) -> bytes:
    from io import BytesIO

    file = BytesIO()
    write(file)
    return file.getvalue()


def check_damage(folder: Path, damage: Damage) -> None:
    """The data set is read, checked and cut by both requests, or one sentence says why it is not."""
    write_shop(folder)
    path = folder / damage.file
    path.write_bytes(damage.change(path.read_bytes()))
    try:
        reader = Folder("shop", FolderOptions(str(folder)), folder.parent)
        reader.identity()
        data = to_torch(read_checked(reader), "key")
        for name in REQUESTS:
            draw(RequestOptions("user", file=str(folder / name)), data)
    except InputError as error:
        check_sentence(str(error))

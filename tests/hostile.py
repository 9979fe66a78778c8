"""Hostile inputs, each with a part of the one sentence that answers it: test data, and the table of a
program.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzzing import ITEMS, USERS

MANY = "9" * 5000


@dataclass(frozen=True)
class Input:
    """What it is, the overrides that give it, what is done to the data set before, what must be said."""

    what: str
    overrides: tuple[str, ...]
    says: str
    damage: Callable[[Path], object] = lambda folder: None
    multirun: bool = False


def text(name: str, content: str, encoding: str = "utf-8") -> Callable[[Path], object]:
    """A file of the data set is this text."""
    return lambda folder: (folder / name).write_text(content, encoding=encoding)


def changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """The bytes of a file of the data set are changed."""
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def features(array: Any) -> Callable[[Path], object]:
    """The image features are these."""
    return lambda folder: np.save(folder / "image_feat.npy", array)


def archive(folder: Path) -> None:
    """An archive under the name of an array."""
    with (folder / "image_feat.npy").open("wb") as file:
        np.savez(file, a=np.zeros((ITEMS, 2)))


def graph(**parts: Any) -> Callable[[Path], object]:
    """The item graph with some of its parts replaced."""
    whole = {"data": np.ones(ITEMS), "indices": np.arange(ITEMS), "indptr": np.arange(ITEMS + 1)}
    whole |= {"shape": np.array([ITEMS, ITEMS]), "format": np.array(b"csr")}
    return lambda folder: np.savez(folder / "text_knn10.npz", **{**whole, **parts})


def pointers(place: int, value: int) -> Any:
    """Sound pointers but for one."""
    found = np.arange(ITEMS + 1)
    found[place] = value
    return found


def row(line: str) -> Callable[[Path], object]:
    """One more row of interactions."""
    return changed("shop.inter", lambda content: content + line.encode() + b"\n")


def map_and_request(folder: Path) -> None:
    """A damaged map, and a request that asks it."""
    (folder / "u_id_mapping.csv").write_text(f"own\tuserID\no0\t{MANY}\n")
    (folder / "request.csv").write_text("user\no0\n")


CSV, JSON = "regime.file=shop/request.csv", "regime.file=shop/request.json"
EVERYBODY = "userID\n" + "\n".join(map(str, range(USERS))) + "\n"
EVERYTHING = "".join(f"0\t{item}\t0\n" for item in range(7, ITEMS)).rstrip()

FILES = (
    Input("a user id of 4 * 10^12", (), "their embeddings alone need", row("4000000000000\t1\t0")),
    Input("an id of 5,000 digits", (), "must hold integers in", row(f"{MANY}\t1\t0")),
    Input(
        "interactions in UTF-16",
        (),
        "is not UTF-8 text",
        changed("shop.inter", lambda c: c.decode().encode("utf-16")),
    ),
    Input("gzipped interactions", (), "is not UTF-8 text", changed("shop.inter", gzip.compress)),
    Input("binary interactions", (), "", changed("shop.inter", lambda _: bytes(range(256)))),
    Input("an archive named .npy", (), "is an archive of arrays", archive),
    Input("features that overflow float32", (), "beyond float32", features(np.full((ITEMS, 2), 1e300))),
    Input("features without columns", (), "have no columns", features(np.zeros((ITEMS, 0)))),
    Input("complex features", (), "real numbers", features(np.full((ITEMS, 2), 1j))),
    Input(
        "a pointer of 10^6 in an item graph",
        (),
        "not a readable sparse matrix",
        graph(indptr=pointers(3, 10**6)),
    ),
    Input("decreasing pointers", (), "not a readable sparse matrix", graph(indptr=pointers(4, 1))),
    Input("an index out of range", (), "not a readable sparse matrix", graph(indices=np.arange(ITEMS) + 3)),
    Input("similarities that are texts", (), "not a readable sparse matrix", graph(data=np.full(ITEMS, "x"))),
    Input("complex similarities", (), "not a readable sparse matrix", graph(data=np.full(ITEMS, 1j))),
    Input("similarities that overflow float32", (), "beyond float32", graph(data=np.full(ITEMS, 1e300))),
    Input(
        "a user who has every item",
        (),
        "no negative item can be drawn",
        changed(
            "shop.inter",
            lambda c: (
                c.replace(b"0\t5\t1", b"0\t5\t0").replace(b"0\t6\t2", b"0\t6\t0")
                + EVERYTHING.encode()
                + b"\n"
            ),
        ),
    ),
    Input(
        "an itemID of 5,000 digits in texts",
        (),
        "is not valid JSON",
        text("item_text.jsonl", f'{{"itemID": {MANY}}}'),
    ),
    Input(
        "a price of 400 digits",
        (),
        "has the price",
        text("item_text.jsonl", f'{{"itemID": 1, "price": {"9" * 400}}}'),
    ),
    Input("deeply nested JSON texts", (), "is not valid JSON", text("item_text.jsonl", "[" * 100_000)),
    Input(
        "a map with an id of 5,000 digits",
        (CSV,),
        "write an own id, a tab and each number",
        map_and_request,
    ),
    Input(
        "a request with a huge integer",
        (CSV,),
        "where an integer id is needed",
        text("request.csv", f"userID\n{10**30}\n"),
    ),
    Input("a request with 5,000 digits", (JSON,), "is not valid JSON", text("request.json", f"[{MANY}]")),
    Input(
        "a JSON request with a huge integer",
        (JSON,),
        "where an integer id is needed",
        text("request.json", json.dumps([10**30])),
    ),
    Input("a deeply nested request", (JSON,), "is not valid JSON", text("request.json", "[" * 100_000)),
    Input(
        "a very long field in a request",
        (CSV,),
        "is not a readable CSV",
        text("request.csv", "userID\n" + "1" * 200_000),
    ),
    Input(
        "a request for all users", (CSV,), "nothing would be left to train on", text("request.csv", EVERYBODY)
    ),
)

VALUES = (
    Input("no group", ("method=null",), "does not compose"),
    Input("a group that is a number", ("train=5",), "is not"),
    Input("an infinite learning rate", ("train.learning_rate=inf",), "give a finite number"),
    Input("an option that is no number", ("method.top_ratio=nan",), "give a finite number"),
    Input("a negative seed", ("seed=-1",), "seed=-1 is not valid"),
    Input("a seed of 2^64", (f"seed={2**64}",), "at most 64 bits"),
    Input("a forget seed of 2^64", (f"regime.seed={2**64}",), "at most 64 bits"),
    Input("an empty experiment", ("tracking.experiment=",), "at least 1 character"),
    Input("an experiment of 300 letters", ("tracking.experiment=" + "x" * 300,), "at most 200 characters"),
    Input("a data set that leaves its folder", ("dataset.name=../../x",), "is not a name"),
    Input("a data set with markup", ("dataset.name='<b>x</b>'",), "is not a name"),
    Input("a data set with a quote", (r"dataset.name='o\'neil'",), "is not a name"),
    Input("a data set of dots", ("dataset.name='..'",), "is not a name"),
    Input("a very long text", ("data_root=" + "x" * 5000,), "are the most"),
    Input("a very long key", ("a" * 300 + "=1",), "does not compose"),
    Input("an unknown pair of published options", ("published=zzz",), "published=zzz is not known"),
    Input("no values", ("seed=range(0)",), "names no value", multirun=True),
    Input("a sweep of 10^12 cells", ("seed=range(1000000000000)",), "more cells than 100,000", multirun=True),
    Input("a glob", ("method=glob(*)",), "names no single values", multirun=True),
    Input("a cache that is a file", ("cache.dir=file",), "cannot be used as a folder"),
    Input("a cache that cannot be made", ("cache.dir=/proc/x",), "cannot be used as a folder"),
    Input("no address of a store", ("tracking.uri=foo://x",), "is not the address of a store"),
    Input("a store that is a folder", ("tracking.uri=sqlite:///shop",), "names no file"),
    Input("a store that is no database", ("tracking.uri=sqlite:///file",), "is not a SQLite file"),
    Input("a store in /proc", ("tracking.uri=sqlite:////proc/x/m.db", "run.dry=false"), "cannot be opened"),
    Input("a link to a store that is gone", ("tracking.uri=sqlite:///gone.db",), "which is not there"),
    Input("a folder of configurations that is not there", ("--config-dir=nope",), "is not a folder"),
    Input("a thousand billion threads", ("run.threads=1000000000000",), "run.threads=1000000000000"),
)

INPUTS = (*FILES, *VALUES)


def prepare(folder: Path) -> None:
    """What the inputs find where the command is started, beside the data set ``shop``."""
    (folder / "file").write_text("not a database, and no folder either" * 10)
    (folder / "gone.db").symlink_to(folder / "nowhere.db")


def arguments(given: Input) -> list[str]:
    """The command line of an input: a dry run."""
    data = (
        ["dataset=folder", "dataset.path=shop", "dataset.name=shop"]
        if given in FILES
        else ["dataset=synthetic_tiny"]
    )
    keys = {text.partition("=")[0] for text in given.overrides}
    own = [text for text in [*data, "run.dry=true"] if text.partition("=")[0] not in keys]
    return [*(["-m"] if given.multirun else []), *own, *given.overrides]

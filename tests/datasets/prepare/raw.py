"""Raw data made for the tests, and the command that prepares it."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.__main__ import main

COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (30, 40, 200), "grey": (128, 128, 128)}
USERS, ITEMS, ORDERS = 60, 40, 9


def item(number: int) -> str:
    return f"B{number:04d}"


def colour(number: int) -> str:
    return list(COLOURS)[number % 4]


def orders() -> list[tuple[str, str, str, str]]:
    """user, item, rating, timestamp: users buy items of one colour."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(USERS):
        liked = rng.choice(np.arange(user % 4, ITEMS, 4), ORDERS, replace=False)
        rows += [
            (f"user {user}", item(i), str(1 + (user + i) % 5), str(10**9 + n)) for n, i in enumerate(liked)
        ]
    return rows


def write_csv(path: Path, header: str, rows: list[tuple[str, ...]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([tuple(header.split(",")), *rows])
    return path


def write_shop(folder: Path) -> Path:
    """``orders.csv``, ``items.csv`` (no text for item 3) and ``pictures`` (none of item 5)."""
    (folder / "pictures").mkdir(parents=True)
    write_csv(folder / "orders.csv", "user,item,rating,timestamp", orders())
    titles = [(item(i), f"{colour(i)} lamp no {i}", f"home > {colour(i)}") for i in range(ITEMS) if i != 3]
    write_csv(folder / "items.csv", "item,title,categories", titles)
    rng = np.random.default_rng(1)
    for i in range(ITEMS):
        if i != 5:
            pixels = np.clip(np.array(COLOURS[colour(i)]) + rng.normal(0, 20, (16, 16, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "pictures" / f"{item(i)}.png")
    return folder


def content(folder: Path) -> list[str]:
    """The arguments that name the content of a shop."""
    return ["--items", str(folder / "items.csv"), "--images", str(folder / "pictures")]


def prepare(folder: Path, *arguments: str, name: str = "shop", out: str = "out") -> int:
    """Run the command on ``orders.csv``, or on the files that the arguments name; its exit code."""
    given = [] if "--interactions" in arguments else ["--interactions", str(folder / "orders.csv")]
    places = ["--out", str(folder / out / name), "--cache", str(folder / "cache"), "--threads", "1"]
    return main(["prepare", name, *given, *places, *arguments])


def refused(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The sentence with which the command refuses; nothing is left in the place of the data set."""
    capsys.readouterr()
    assert prepare(folder, *arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert not (folder / "out" / "shop").exists()
    return error


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 by path of everything in a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def table(folder: Path) -> list[dict[str, str]]:
    """The rows of the ``.inter`` file."""
    (path,) = folder.glob("*.inter")
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def id_map(folder: Path, kind: str) -> list[str]:
    """Own ids in the order of the dense ones."""
    lines = (folder / f"{kind[0]}_id_mapping.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [line.split("\t")[1] for line in lines] == [str(dense) for dense in range(len(lines))]
    return [line.split("\t")[0] for line in lines]


def provenance(folder: Path) -> dict[str, dict[str, dict[str, int]]]:
    content: dict[str, dict[str, dict[str, int]]] = json.loads(
        (folder / "provenance.json").read_text(encoding="utf-8")
    )
    return content

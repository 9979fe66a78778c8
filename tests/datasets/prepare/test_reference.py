"""Ids, counts and splits against plain references: pandas for the core, the published rule for the split."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datasets.prepare.k_core import k_core
from datasets.prepare.pair_files import PairWriter
from datasets.splits import held_out
from tests.datasets.prepare.raw import id_map, prepare, provenance, table, write_csv


def amazon_2014(folder: Path, rows: int = 6000) -> pd.DataFrame:
    """Reviews with a long tail of users and items and some repetitions, as ``reviews.json.gz``."""
    rng = np.random.default_rng(5)
    users = (900 * rng.random(rows) ** 2).astype(int)
    items = (300 * rng.random(rows) ** 2).astype(int)
    frame = pd.DataFrame(
        {
            "reviewerID": [f"A{(user * 7919) % 100_003:X}" for user in users],
            "asin": [f"{(item * 104_729) % 10**10:010d}" for item in items],
            "overall": rng.integers(1, 6, rows).astype(float),
            "unixReviewTime": rng.integers(1_300_000_000, 1_400_000_000, rows),
        }
    )
    with gzip.open(folder / "reviews.json.gz", "wt", encoding="utf-8") as file:
        for record in frame.to_dict("records"):
            review = {"reviewText": 'It\'s "fine", \u00e9', "helpful": [0, 0], **record}
            file.write(json.dumps(review) + "\n")
    return frame


def core_by_pandas(frame: pd.DataFrame, k: int) -> pd.DataFrame:
    """The k-core, dropping whole users, then whole items, until nothing changes."""
    frame = frame.sort_values("unixReviewTime", kind="stable").drop_duplicates(["reviewerID", "asin"])
    while True:
        size = len(frame)
        frame = frame[frame.groupby("reviewerID")["asin"].transform("size") >= k]
        frame = frame[frame.groupby("asin")["reviewerID"].transform("size") >= k]
        if len(frame) == size:
            return frame


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("reviews")
    return folder, amazon_2014(folder)


@pytest.fixture(scope="module")
def prepared(reviews: tuple[Path, pd.DataFrame]) -> Path:
    folder = reviews[0]
    given = ["--interactions", str(folder / "reviews.json.gz"), "--format", "amazon2014"]
    assert prepare(folder, *given, name="amazon") == 0
    return folder / "out" / "amazon"


def test_ids_and_pairs_are_those_of_pandas(reviews: tuple[Path, pd.DataFrame], prepared: Path) -> None:
    core = core_by_pandas(reviews[1], 5)
    assert 100 < len(core) < 0.9 * len(reviews[1])
    users, items = sorted(core["reviewerID"].unique()), sorted(core["asin"].unique())
    assert (id_map(prepared, "user"), id_map(prepared, "item")) == (users, items)
    known = core.set_index(["reviewerID", "asin"])
    rows = table(prepared)
    assert len(rows) == len(core)
    for row in rows:
        review = known.loc[(users[int(row["userID"])], items[int(row["itemID"])])]
        assert float(row["rating"]) == review["overall"]
        assert int(row["timestamp"]) == review["unixReviewTime"]


def test_counts_at_every_step_are_those_of_pandas(reviews: tuple[Path, pd.DataFrame], prepared: Path) -> None:
    frame, core = reviews[1], core_by_pandas(reviews[1], 5)
    distinct = len(frame.drop_duplicates(["reviewerID", "asin"]))
    counts = provenance(prepared)["counts"]
    assert counts["rows"] == {
        "rows": len(frame),
        "rows_rated_too_low": 0,
        "duplicate_rows": len(frame) - distinct,
        "pairs": distinct,
        "users": frame["reviewerID"].nunique(),
        "items": frame["asin"].nunique(),
    }
    assert counts["core"]["pairs_in_the_core"] == len(core)
    assert counts["core"]["users_in_the_core"] == core["reviewerID"].nunique()
    assert counts["core"]["items_in_the_core"] == core["asin"].nunique()
    rows = table(prepared)
    for label, name in (("0", "train"), ("1", "valid"), ("2", "test")):
        assert counts["core"][name] == sum(row["x_label"] == label for row in rows)


def test_every_user_gives_what_the_published_rule_says(prepared: Path) -> None:
    frame = pd.DataFrame(table(prepared))
    sizes = frame.groupby("userID")["x_label"].value_counts().unstack(fill_value=0)
    valid, test = held_out(sizes.sum(axis=1).to_numpy())
    assert (sizes["1"].to_numpy() == valid).all()
    assert (sizes["2"].to_numpy() == test).all()


@pytest.mark.parametrize("which", ["first", "last"])
def test_the_row_that_stays_of_a_duplicate(reviews: tuple[Path, pd.DataFrame], which: str) -> None:
    folder, frame = reviews
    given = ["--interactions", str(folder / "reviews.json.gz"), "--format", "amazon2014"]
    name = f"duplicates_{which}"
    assert prepare(folder, *given, "--duplicates", which, "--k-core", "0", name=name) == 0
    kept = frame.sort_values("unixReviewTime", kind="stable").drop_duplicates(
        ["reviewerID", "asin"], keep="first" if which == "first" else "last"
    )
    out = folder / "out" / name
    users, items = id_map(out, "user"), id_map(out, "item")
    found = {
        (users[int(row["userID"])], items[int(row["itemID"])], float(row["rating"])) for row in table(out)
    }
    assert found == set(kept[["reviewerID", "asin", "overall"]].itertuples(index=False, name=None))


def test_repetitions_longer_than_a_batch_are_one_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.prepare.coding.CHUNK", 1)
    pairs = [(f"u{n // 3}", f"i{n % 3}") for n in range(9)]
    rows = [(user, own, str(1000 - n)) for n in range(1500) for user, own in pairs]
    path = write_csv(tmp_path / "many.csv", "user,item,timestamp", rows)
    assert prepare(tmp_path, "--interactions", str(path), "--k-core", "0", name="many") == 0
    rows_left = table(tmp_path / "out" / "many")
    assert len(rows_left) == 9
    assert {row["timestamp"] for row in rows_left} == {"-499"}


def test_low_ratings_go_before_duplicates_and_core(reviews: tuple[Path, pd.DataFrame]) -> None:
    folder, frame = reviews
    given = ["--interactions", str(folder / "reviews.json.gz"), "--format", "amazon2014"]
    assert prepare(folder, *given, "--min-rating", "3", "--k-core", "3", name="rated") == 0
    core = core_by_pandas(frame[frame["overall"] >= 3], 3)
    out = folder / "out" / "rated"
    assert id_map(out, "user") == sorted(core["reviewerID"].unique())
    assert len(table(out)) == len(core)


def test_the_core_is_the_largest_and_leaves_nobody_without_a_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against removal one at a time, in chunks of a few pairs."""
    monkeypatch.setattr("datasets.prepare.pair_files.CHUNK", 7)
    rng = np.random.default_rng(0)
    for trial in range(30):
        keys = np.unique(rng.integers(0, 20 * 15, 70))
        users, items = np.divmod(keys, 15)
        with PairWriter(tmp_path / str(trial), ("user", "item")) as writer:
            writer.append({"user": users, "item": items})
        allowed = rng.random(15) < 0.9
        core = k_core(writer.files, 20, allowed, trial % 4)
        pairs = {(u, i) for u, i in zip(users.tolist(), items.tolist(), strict=True) if allowed[i]}
        left = one_at_a_time(pairs, max(trial % 4, 1))
        assert set(np.flatnonzero(core.users)) == {u for u, _ in left}
        assert set(np.flatnonzero(core.items)) == {i for _, i in left}


def one_at_a_time(pairs: set[tuple[int, int]], k: int) -> set[tuple[int, int]]:
    for side in (0, 1):
        for one in sorted({pair[side] for pair in pairs}):
            if sum(pair[side] == one for pair in pairs) < k:
                return one_at_a_time({pair for pair in pairs if pair[side] != one}, k)
    return pairs

"""Held-out pairs of users without a training pair leave where data are read, for every use of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.config.compose import expand
from bench.planning.dataset import in_words, read_checked, reader_of
from bench.planning.planner import PlannedCell, Planner

USERS, ITEMS = 30, 12
HEADER = "userID\titemID\tx_label"


def planned(folder: Path, cold: bool) -> PlannedCell:
    """Thirty users with eight pairs each; the last one may have none of them to train on."""
    place = folder / str(cold) / "tiktok"
    place.mkdir(parents=True)
    rows = [
        f"{user}\t{(user + step) % ITEMS}\t{1 + step % 2 if cold and user == USERS - 1 else max(0, step - 5)}"
        for user in range(USERS)
        for step in range(8)
    ]
    (place / "tiktok.inter").write_text("\n".join([HEADER, *rows]) + "\n")
    np.save(place / "image_feat.npy", np.ones((ITEMS, 2)))
    overrides = ["dataset=tiktok", "backbone=bpr", "method=reset", f"data_root={place.parent}"]
    overrides += [f"cache.dir={folder}/cache", f"tracking.uri=sqlite:///{folder}/mlflow.db"]
    return Planner().plan(expand(overrides, multirun=False)[0])


def test_they_are_dropped_counted_and_part_of_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = planned(tmp_path, cold=True)
    data = read_checked(reader_of(cell.config))
    assert USERS - 1 not in np.concatenate([data.valid[0], data.test[0]])
    assert (data.valid.shape[1], data.test.shape[1]) == (29, 29)
    summary = cell.summary
    assert (summary.valid_of_cold_users, summary.test_of_cold_users) == (4, 4)
    assert (summary.valid, summary.test, summary.users_without_train) == (33, 33, 1)
    assert "the users' 4 / 4 held-out pairs are dropped" in in_words("shop", summary)
    monkeypatch.setattr("bench.planning.planner.used_data_key", lambda key, summary: key)
    assert Planner().plan(cell.config).keys.data != cell.keys.data


def test_data_without_them_keep_their_key_and_say_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = planned(tmp_path, cold=False)
    assert "dropped" not in in_words("shop", cell.summary)
    monkeypatch.setattr("bench.planning.planner.used_data_key", lambda key, summary: key)
    assert Planner().plan(cell.config).keys.data == cell.keys.data

"""Distance to gold as tables, and the account of a number of the leaderboard, from a store with lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.record.names import CODE_TAG, FORGET_RECALL, TEST_RECALL
from results.__main__ import main as command
from results.names.headlines import LIST_EXCESS
from tests.results.store import model_lists, record, store, table_cell

NOISE = {"original": 0.2, "retrain": 0.2, "reset": 0.5, "tru": 0.25}
ROW = "synthetic/mgcn/user/tru"


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two requests, two seeds and three of gold; one run of an edited method; one row without lists."""
    place = store(f"sqlite:///{tmp_path_factory.mktemp('distance')}/mlflow.db")
    for request in (0, 1):
        for method, noise in NOISE.items():
            for seed in range(3 if method == "retrain" else 2):
                value = noise + request / 10 + seed / 100
                record(
                    place,
                    table_cell(seed, method, f"regime.seed={request}"),
                    {TEST_RECALL: value, FORGET_RECALL: value / 10},
                    lists=model_lists(request, f"{method}{seed}", noise),
                )
    record(place, table_cell(0, "mmrecun"), {TEST_RECALL: 0.2})
    edited = {CODE_TAG + "method": "edited"}
    record(place, table_cell(0, "tru"), {TEST_RECALL: 0.99}, key="edited", tags=edited)
    return place.uri


@pytest.fixture(scope="module")
def distances(uri: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``python -m results distance`` writes about them."""
    file = tmp_path_factory.mktemp("written") / "distances.md"
    assert command(["distance", "--uri", uri, "--out", str(file)]) == 0
    return file.read_text(encoding="utf-8")


def cells_of(text: str, method: str) -> list[str]:
    line = next(line for line in text.splitlines() if f"| {method} |" in line)
    return [part.strip() for part in line.strip("| ").split(" | ")]


def test_list_distances_have_floor_excess_interval_and_test(distances: str) -> None:
    lists = distances.split("\n\n**Gaps")[0]
    gold, tru, reset = (cells_of(lists, method)[4:8] for method in ("retrain", "tru", "reset"))
    assert gold[0] == "2 requests x 3 seeds"
    assert gold[1] == gold[2] == tru[2]
    assert gold[3].startswith("+0.0000 [-")
    for row in (tru, reset):
        excess = float(row[1]) - float(row[2])
        assert float(row[3].split("<")[0].split()[0]) == pytest.approx(excess, abs=2e-4)
    assert "<sup>†</sup>" in tru[3]
    assert "† closer to gold than reset: p < 0.05, hierarchical bootstrap over requests, seeds" in lists
    assert cells_of(lists, "mmrecun")[5] == "n/a<sup>a</sup>"
    assert "- a: n/a: its runs hold no lists." in lists
    assert "1 - RBO, users who stay" in lists
    assert "touched users" in lists


def test_gaps_have_intervals_and_units_and_closeness(distances: str) -> None:
    gaps = distances.split("**Gaps")[1]
    row = cells_of(gaps, "tru")
    assert row[5].startswith("+0.0450 [")  # .25 + .005 against .2 + .01
    assert row[5].endswith("(4.5)")  # in units of .01
    assert row[7] == "n/a"  # no attack was run
    assert "not in C, because the unit is n/a: membership (0 of 5 golds)" in gaps
    assert not any("| retrain |" in line for line in gaps.splitlines())


def test_the_same_store_gives_the_same_bytes(uri: str, distances: str, tmp_path: Path) -> None:
    assert command(["distance", "--uri", uri, "--out", f"{tmp_path}/again"]) == 0
    assert (tmp_path / "again").read_text(encoding="utf-8") == distances


def test_a_number_of_the_leaderboard_is_accounted_for(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["explain", "leaderboard", ROW, "test recall@20", "--uri", uri]) == 0
    text = capsys.readouterr().out
    for part in (
        "measured: 0.305000 over 2 requests x 2 seeds",
        "± 0.070711 over the means of requests",
        "to gold: +0.0450 [",
        "(bootstrap over requests, seeds, gold's seeds, users)",
        "in standard deviations of gold over seeds: 4.50 of 0.010000",
        "request 1, seed 1: 0.360000",
        "left out, because method or backbone had other code:",
    ):
        assert part in text
    assert "0.99" not in text


def test_the_account_of_an_excess_and_of_what_is_missing(
    uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["explain", "leaderboard", ROW, "list excess", "--uri", uri]) == 0
    text = capsys.readouterr().out
    assert "list distance: +0." in text
    assert "excess: +0." in text
    assert command(["explain", "leaderboard", ROW.replace("tru", "mmrecun"), LIST_EXCESS, "--uri", uri]) == 0
    assert "not measured: its runs hold no lists" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "column", "complaint"),
    [("baby/mgcn/user/tru", "forget", "row=baby/mgcn/user/tru is not on"), (ROW, "x", "column=x is not on")],
)
def test_what_is_not_on_the_leaderboard_is_said(
    row: str, column: str, complaint: str, uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["explain", "leaderboard", row, column, "--uri", uri]) == 2
    assert complaint in capsys.readouterr().err

"""The leaderboard and the frame from a store with known content."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.config.schema import TrackingConfig
from bench.record.names import CELL_KEY_TAG, KIND_TAG, SPEEDUP, TEST_RECALL
from bench.record.store import Store
from results.__main__ import main as command
from results.runs.frame import CellRun, cells, runs
from results.runs.settings import variants
from results.tables.leaderboard import leaderboard, standings
from results.tables.text_table import Text
from tests.results.store import record, store, table_cell


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """Two seeds of one method, one of them run twice; one failed cell; one sweep."""
    tracking = TrackingConfig(uri=f"sqlite:///{tmp_path}/mlflow.db")
    place = Store(tracking)
    labels = {"dataset": "d", "backbone": "b", "regime": "user", "method": "tru"}
    for key, seed, recall in (("k0", "0", 0.3), ("k0", "0", 0.1), ("k1", "1", 0.2)):
        run = place.start("cell", {KIND_TAG: "cell", CELL_KEY_TAG: key, **labels, "seed": seed})
        place.log(run, metrics={TEST_RECALL: recall})
        place.finish(run)
    failed = place.start("cell", {KIND_TAG: "cell", CELL_KEY_TAG: "k2", **labels, "seed": "2"})
    place.fail(failed, RuntimeError("no"))
    place.finish(place.start("sweep", {KIND_TAG: "sweep"}))
    return tracking.uri


def made(method: str, seed: int, ended: int = 0, **metrics: float) -> CellRun:
    labels = {"dataset": "d", "backbone": "b", "regime": "user", "method": method, "seed": str(seed)}
    named = {name.replace("__", "/"): value for name, value in metrics.items()}
    return CellRun(
        f"{method}{seed}{ended}", f"{method}{seed}{ended}", "FINISHED", labels, {}, named, {}, ended
    )


def test_frame_holds_the_latest_finished_run_of_each_cell(uri: str) -> None:
    frame = cells(uri, "lethe")
    assert frame["cell_key"].tolist() == ["k0", "k1"]
    assert frame[TEST_RECALL].tolist() == [0.1, 0.2]


def test_runs_tell_why_a_cell_failed(uri: str) -> None:
    (failed,) = [run for run in runs(uri, "lethe") if not run.finished]
    assert (failed.status, failed.cause, failed.seed) == ("FAILED", "RuntimeError: no", 2)


def test_leaderboard_is_mean_and_deviation_over_seeds(uri: str) -> None:
    table = leaderboard(standings(runs(uri, "lethe"), {}))
    assert table.header == (("seeds", ""), ("test recall@20", ""))
    assert table.rows == ((("d", "b", "user", "tru"), (Text("2"), Text("0.1500", tail=" ± 0.0707"))),)


def test_one_seed_has_no_deviation_and_a_missing_metric_is_a_dash() -> None:
    found = [made("tru", 0, test__recall_at_20=0.25), made("reset", 0, time__speedup_to_best=12.0)]
    rows = leaderboard(standings(found, {})).rows
    assert [text.plain for text in rows[1][1]] == ["1", "0.2500", "-"]
    assert [text.plain for text in rows[0][1]] == ["1", "-", "12.0"]


def test_best_and_second_are_methods_and_forgetting_is_ranked_by_the_distance_to_gold() -> None:
    values = {"original": 0.9, "retrain": 0.1, "tru": 0.0, "mmrecun": 0.15, "reset": 0.5}
    found = [made(m, 0, forget__recall_at_20=v, test__recall_at_20=v) for m, v in values.items()]
    table = leaderboard(standings(found, {}))
    marks = {names[3]: tuple(text.mark for text in texts[1:]) for names, texts in table.rows}
    assert marks == {
        "original": ("", ""),
        "retrain": ("", ""),
        "reset": ("best", ""),
        "mmrecun": ("second", "best"),
        "tru": ("", "second"),
    }


def test_a_later_run_of_the_same_seed_replaces_what_it_measured_anew() -> None:
    found = [
        made("tru", 0, 1, test__recall_at_20=0.1, time__speedup_to_best=9.0),
        made("tru", 0, 2, test__recall_at_20=0.3),
    ]
    (one,) = standings(found, {})
    assert (one.seeds, one.summaries[TEST_RECALL].mean, one.summaries[SPEEDUP].mean) == (1, 0.3, 9.0)


def test_other_options_are_a_row_of_their_own(tmp_path: Path) -> None:
    place = store(f"sqlite:///{tmp_path}/mlflow.db")
    record(place, table_cell(0, "tru"), {TEST_RECALL: 0.3})
    record(place, table_cell(0, "tru", "method.gate=false"), {TEST_RECALL: 0.2})
    record(place, table_cell(0, "tru", "train.batch_size=99"), {TEST_RECALL: 0.1})
    record(place, table_cell(0, "tru", "evaluate.candidates=remaining"), {TEST_RECALL: 0.4})
    record(place, table_cell(1, "tru", "evaluate.lists=7"), {TEST_RECALL: 0.3})
    found = runs(place.uri, "lethe")
    table = leaderboard(standings(found, variants(found)))
    assert table.labels[-1] == "options"
    options = [names[-1] for names, _ in table.rows]
    assert options == ["default", "evaluate.candidates=remaining", "gate=False", "train.batch_size=99"]


def test_command_line(uri: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command(["leaderboard", "--uri", uri]) == 0
    assert "| d | b | user | tru | 2 | 0.1500 ± 0.0707 |" in capsys.readouterr().out
    assert command(["leaderboard", "--uri", uri, "--format", "csv", "--out", f"{tmp_path}/l.csv"]) == 0
    assert (tmp_path / "l.csv").read_text().splitlines()[1] == "d,b,user,tru,2,0.1500 ± 0.0707"
    assert command(["leaderboard", "--uri", uri, "--experiment", "nosuch"]) == 1
    assert cells(uri, "nosuch").empty


def test_a_store_that_is_not_there_is_not_created(tmp_path: Path) -> None:
    assert command(["leaderboard", "--uri", f"sqlite:///{tmp_path}/none.db"]) == 1
    assert not list(tmp_path.iterdir())

"""The leaderboard and the frame from runs with known content."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.config.schema import TrackingConfig
from bench.record.names import (
    BREAK_EVEN,
    CELL_KEY_TAG,
    CONTENDED,
    FORGET_RECALL,
    KIND_TAG,
    MIA_BALANCED_ACCURACY,
    OFFLINE_SECONDS,
    PROPAGATIONS,
    SPEEDUP,
    SPEEDUP_TO_END,
    STEPS,
    TEST_RECALL,
)
from bench.record.store import Store
from results.__main__ import main as command
from results.names.headlines import LIST_EXCESS
from results.runs.frame import CellRun, cells, runs
from results.runs.groups import grouped
from results.runs.settings import variants
from results.tables.leaderboard import leaderboard
from results.tables.text_table import Text, TextTable
from tests.results.store import model_lists, record, store, table_cell


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


def made(method: str, seed: int, ended: int = 0, request: int = 0, **metrics: float) -> CellRun:
    labels = {"dataset": "d", "backbone": "b", "regime": "user", "method": method, "seed": str(seed)}
    named = {name.replace("__", "/"): value for name, value in metrics.items()}
    name, params = f"{method}{request}{seed}{ended}", {"regime.seed": str(request)}
    return CellRun(name, name, "FINISHED", labels, params, named, {}, ended)


def board(found: list[CellRun]) -> TextTable:
    return leaderboard(grouped(found, {}))


def column(table: TextTable, title: str) -> dict[str, Text]:
    """By method, the text of a column."""
    at = [name for name, _ in table.header].index(title)
    return {names[3]: texts[at] for names, texts in table.rows}


def marks(table: TextTable, title: str) -> dict[str, str]:
    return {method: text.mark for method, text in column(table, title).items() if text.mark}


def test_frame_holds_the_latest_finished_run_of_each_cell(uri: str) -> None:
    frame = cells(uri, "lethe")
    assert frame["cell_key"].tolist() == ["k0", "k1"]
    assert frame[TEST_RECALL].tolist() == [0.1, 0.2]
    assert frame["request"].tolist() == [0, 0]


def test_runs_tell_why_a_cell_failed(uri: str) -> None:
    (failed,) = [run for run in runs(uri, "lethe") if not run.finished]
    assert (failed.status, failed.cause, failed.seed) == ("FAILED", "RuntimeError: no", 2)


def test_leaderboard_is_mean_and_deviation_over_seeds(uri: str) -> None:
    table = board(runs(uri, "lethe"))
    assert table.header == (("over", ""), ("test recall@20", ""))
    over = Text("1 request x 2 seeds", tail="; code not recorded")
    assert table.rows == ((("d", "b", "user", "tru"), (over, Text("0.1500", tail=" ± 0.0707"))),)


def test_two_requests_are_averaged_and_their_spread_stands_apart() -> None:
    values = {(0, 0): 0.1, (0, 1): 0.2, (1, 0): 0.5, (1, 1): 0.6}
    table = board([made("tru", s, request=r, test__recall_at_20=v) for (r, s), v in values.items()])
    assert column(table, "over")["tru"].plain == "2 requests x 2 seeds"
    # .0707: seeds within a request; .2828: the means .15 and .55 of the requests
    assert column(table, "test recall@20")["tru"] == Text("0.3500", tail=" ± 0.0707 / 0.2828")


def test_what_is_no_full_product_says_how_many_cells_there_are() -> None:
    table = board([made("tru", s, request=r, test__recall_at_20=0.1) for r, s in ((0, 0), (0, 1), (1, 0))])
    assert column(table, "over")["tru"].plain == "3 of 2 requests x 2 seeds"


def test_one_seed_has_no_deviation_and_a_missing_metric_is_a_dash() -> None:
    table = board([made("tru", 0, test__recall_at_20=0.25), made("reset", 0, time__speedup_to_best=12.0)])
    assert column(table, "test recall@20")["tru"].plain == "0.2500"
    assert [text.plain for text in column(table, "test recall@20").values()] == ["-", "0.2500"]
    assert column(table, "speed-up")["reset"].plain == "12.0"


def test_best_and_second_are_methods_and_forgetting_is_ranked_by_the_distance_to_gold() -> None:
    values = {"original": 0.9, "retrain": 0.1, "tru": 0.0, "mmrecun": 0.15, "reset": 0.5}
    table = board([made(m, 0, forget__recall_at_20=v, test__recall_at_20=v) for m, v in values.items()])
    assert marks(table, "test recall@20") == {"reset": "best", "mmrecun": "second"}
    assert marks(table, "forget") == {"mmrecun": "best", "tru": "second"}


def test_methods_are_compared_on_the_seeds_that_they_share() -> None:
    tru = [made("tru", seed, test__recall_at_20=value) for seed, value in enumerate((0.5, 0.1))]
    other = made("mmrecun", 0, test__recall_at_20=0.4)
    table = board([*tru, other])
    assert marks(table, "test recall@20") == {"tru": "best", "mmrecun": "second"}, ".5 against .4 on seed 0"
    found = column(table, "test recall@20")
    assert found["tru"] == Text("0.3000", "best", tail=" ± 0.2828")
    assert found["mmrecun"] == Text("0.4000", "second", tail=" [1/2]")


def test_a_stray_cell_does_not_decide_for_those_that_have_all() -> None:
    full = {"tru": (0.3, 0.3, 0.1), "mmrecun": (0.2, 0.2, 0.6), "reset": (0.1, 0.1, 0.1)}
    found = [made(m, s, test__recall_at_20=v) for m, own in full.items() for s, v in enumerate(own)]
    table = board([*found, made("finetune", 0, test__recall_at_20=0.9)])
    assert marks(table, "test recall@20") == {"mmrecun": "best", "tru": "second"}
    assert column(table, "test recall@20")["finetune"].tail == " [1/3]"


def test_a_column_that_fewer_cells_have_says_so_and_gold_counts_by_request() -> None:
    found = [made(m, s, forget__recall_at_20=0.1) for m in ("tru", "mmrecun") for s in (0, 1)]
    found[0].metrics[MIA_BALANCED_ACCURACY] = 0.6
    found += [made("tru", 0, request=1, forget__recall_at_20=0.4)]
    found += [made("retrain", 0, request=r, forget__recall_at_20=v) for r, v in ((0, 0.1), (1, 0.4))]
    table = board(found)
    assert column(table, "attack bal. acc.")["tru"].tail == " [1/3]"
    assert marks(table, "forget") == {"tru": "best", "mmrecun": "best"}, "each is at gold of its request"


def test_a_later_run_of_the_same_seed_replaces_what_it_measured_anew() -> None:
    (one,) = grouped(
        [
            made("tru", 0, 1, test__recall_at_20=0.1, time__speedup_to_best=9.0),
            made("tru", 0, 2, test__recall_at_20=0.3),
        ],
        {},
    )
    assert one.coverage == "1 request x 1 seed"
    assert [list(one.values(metric).values()) for metric in (TEST_RECALL, SPEEDUP)] == [[0.3], [9.0]]


def test_speed_is_marked_for_methods_that_forget_and_a_dash_has_its_reason() -> None:
    forget = {"original": 0.8, "retrain": 0.2, "tru": 0.1, "mmrecun": 0.4, "finetune": 0.7, "reset": 0.0}
    speed = {"retrain": 1.0, "tru": 5.0, "mmrecun": 9.0, "finetune": 50.0, "reset": 900.0}
    found = []
    for method, value in forget.items():
        metrics = {FORGET_RECALL: value, "time/unlearn_seconds": 2.0 if method in speed else 0.0}
        found.append(made(method, 0, **metrics, **({SPEEDUP: speed[method]} if method in speed else {})))
    found.append(made("ssd", 0, **{FORGET_RECALL: 0.2, "time/unlearn_seconds": 2.0}))
    table = board(found)
    assert marks(table, "speed-up") == {"mmrecun": "best", "tru": "second"}
    dashes = {method: text.signs for method, text in column(table, "speed-up").items() if text.plain == "-"}
    assert dashes == {"original": "a", "ssd": "b"}
    assert "a: no speed-up: original: nothing is unlearned." in table.notes
    assert any(note.startswith("b: no speed-up: gold was trained on another device") for note in table.notes)


def test_a_speed_up_of_shared_processors_is_signed_and_not_marked() -> None:
    def timed(method: str, forget: float, speed: float, contended: float) -> CellRun:
        return made(method, 0, **{FORGET_RECALL: forget, SPEEDUP: speed, CONTENDED: contended})

    references = [made("original", 0, forget__recall_at_20=0.8), made("retrain", 0, forget__recall_at_20=0.2)]
    methods = [timed("tru", 0.1, 50.0, 1.0), timed("mmrecun", 0.1, 9.0, 0.0), timed("ssd", 0.1, 5.0, 0.0)]
    table = board([*references, *methods])
    assert marks(table, "speed-up") == {"mmrecun": "best", "ssd": "second"}
    sign = column(table, "speed-up")["tru"].signs
    assert any(note.startswith(f"{sign}: processors were shared with others") for note in table.notes)


def test_cost_without_a_device_and_before_the_request_stands_beside_a_speed_up() -> None:
    costs = {SPEEDUP: 2.0, SPEEDUP_TO_END: 3.0, STEPS: 1200.0, PROPAGATIONS: 9600.0}
    costs |= {OFFLINE_SECONDS: 40.0, BREAK_EVEN: 3.5}
    table = board([made("tru", 0, **costs), made("reset", 0, **{SPEEDUP: 9.0})])
    titles = [title for title, _ in table.header]
    assert titles[1:3] == ["speed-up", "speed-up to end of patience"]
    found = [column(table, title)["tru"].plain for title in titles[1:]]
    assert found == ["2.0000", "3.0000", "1200", "9600", "40.0", "3.5000"]
    assert column(table, "break-even requests")["reset"].plain == "-"


def test_other_options_are_a_row_of_their_own_and_other_requests_are_not(tmp_path: Path) -> None:
    place = store(f"sqlite:///{tmp_path}/mlflow.db")
    record(place, table_cell(0, "tru"), {TEST_RECALL: 0.3})
    record(place, table_cell(0, "tru", "regime.seed=1"), {TEST_RECALL: 0.4})
    record(place, table_cell(0, "tru", "method.gate=false"), {TEST_RECALL: 0.2})
    record(place, table_cell(0, "tru", "train.batch_size=99"), {TEST_RECALL: 0.1})
    record(place, table_cell(0, "tru", "evaluate.candidates=remaining"), {TEST_RECALL: 0.4})
    record(place, table_cell(0, "tru", "evaluate.lists=7"), {TEST_RECALL: 0.3})
    found = runs(place.uri, "lethe")
    table = leaderboard(grouped(found, variants(found)))
    assert table.labels[-1] == "options"
    options = [names[-1] for names, _ in table.rows]
    assert options == ["default", "evaluate.candidates=remaining", "gate=False", "train.batch_size=99"]
    assert table.rows[0][1][0].plain == "2 requests x 1 seed"


def test_command_line(uri: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command(["leaderboard", "--uri", uri]) == 0
    row = "| d | b | user | tru | 1 request x 2 seeds; code not recorded | 0.1500 ± 0.0707 |"
    assert row in capsys.readouterr().out
    assert command(["leaderboard", "--uri", uri, "--format", "csv", "--out", f"{tmp_path}/l.csv"]) == 0
    line = (tmp_path / "l.csv").read_text().splitlines()[1]
    assert line == "d,b,user,tru,1 request x 2 seeds; code not recorded,0.1500 ± 0.0707"
    assert command(["leaderboard", "--uri", uri, "--experiment", "nosuch"]) == 1
    assert command(["leaderboard", "--uri", uri, "--regime", "item"]) == 1
    assert cells(uri, "nosuch").empty


def test_a_store_that_is_not_there_is_not_created(tmp_path: Path) -> None:
    assert command(["leaderboard", "--uri", f"sqlite:///{tmp_path}/none.db"]) == 1
    assert not list(tmp_path.iterdir())


def test_list_excess_is_a_column_where_lists_are_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = store(f"sqlite:///{tmp_path}/mlflow.db")
    for seed in (0, 1):
        for method, noise in (("retrain", 0.2), ("tru", 0.5)):
            lists = model_lists(0, f"{method}{seed}", noise)
            record(place, table_cell(seed, method), {TEST_RECALL: 0.3}, lists=lists)
    assert command(["leaderboard", "--uri", place.uri]) == 0
    text = capsys.readouterr().out
    assert "| list excess |" in text
    assert "overlap with gold" not in text
    row = next(line for line in text.splitlines() if " retrain " in line)
    assert row.split(" | ")[-1].startswith("0.0000")
    assert (
        command(["explain", "leaderboard", "synthetic/mgcn/user/tru", LIST_EXCESS, "--uri", place.uri]) == 0
    )
    assert "(bootstrap over seeds, gold's seeds, users)" in capsys.readouterr().out

"""What is written for MLflow's own pages: means, descriptions, views, artifacts of sweeps."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.config.schema import TrackingConfig
from bench.record.finished import recorded
from bench.record.names import (
    CELLS_FILE,
    CODE_TAG,
    COMMAND_TAG,
    FORGET_RECALL,
    KIND_TAG,
    SPEEDUP,
    TEST_RECALL,
)
from bench.record.store import Store
from results.__main__ import main as command
from results.mlflow_ui.aggregate import aggregate
from results.mlflow_ui.aggregate_runs import AggregateRuns
from results.mlflow_ui.descriptions import fitted
from results.mlflow_ui.names import AGGREGATE, FOLDER, NOTE_LIMIT, NOTE_TAG, PARENT_TAG
from results.mlflow_ui.refresh import Refreshed, refresh
from results.mlflow_ui.views import VIEWS
from results.names.headlines import LIST_EXCESS
from results.runs.bundle import export
from results.runs.frame import runs
from results.runs.groups import grouped
from results.runs.settings import Defaults, command_of, expected
from results.tables.explain import explain_command
from tests.bench.warm import Command
from tests.results.made import cell, cells
from tests.results.store import model_lists, record, store, table_cell

SETTING = ("synthetic", "mgcn", "user")
RECALL = {"retrain": 0.30, "tru": 0.25}


def fill(uri: str, seeds: tuple[int, ...] = (0, 1)) -> Store:
    """Gold and TRU, some seeds each."""
    place = store(uri)
    for method, recall in RECALL.items():
        for seed in seeds:
            metrics = {TEST_RECALL: recall + seed / 100, FORGET_RECALL: 0.1, SPEEDUP: 2.0 + seed}
            record(place, table_cell(seed, method), metrics)
    return place


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with four cells, made once."""
    folder = tmp_path_factory.mktemp("filled")
    fill(f"sqlite:///{folder}/mlflow.db")
    return folder / "mlflow.db"


@pytest.fixture
def uri(filled: Path, tmp_path: Path) -> str:
    """A copy of that store."""
    shutil.copy(filled, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


def of_kind(uri: str, kind: str) -> list[Any]:
    return sorted(store(uri).runs(f"tags.`{KIND_TAG}` = '{kind}'"), key=lambda run: run.info.run_name)


def content(uri: str) -> list[Any]:
    """Everything about the aggregates but their times."""
    return [
        (
            run.info.run_id,
            run.info.run_name,
            run.data.metrics,
            run.data.params,
            {key: value for key, value in run.data.tags.items() if key != "lethe.aggregate_written"},
        )
        for run in of_kind(uri, AGGREGATE)
    ]


def test_an_aggregate_holds_mean_and_deviation_under_the_names_of_the_cells(uri: str) -> None:
    assert refresh(uri, "lethe") == Refreshed(described=4, written=2, removed=0, sweeps=0, files=0)
    gold, tru = of_kind(uri, AGGREGATE)
    assert tru.info.run_name == "synthetic/mgcn/user/tru (1 request x 2 seeds)"
    assert tru.info.status == "FINISHED"
    assert (tru.data.metrics["requests"], tru.data.metrics["seeds"]) == (1, 2)
    assert tru.data.metrics[TEST_RECALL] == pytest.approx(0.255)
    assert tru.data.metrics[f"std/{TEST_RECALL}"] == pytest.approx(statistics.stdev([0.25, 0.26]))
    assert not [name for name in tru.data.metrics if "curve/" in name]
    assert tru.data.params["method.name"] == "tru"
    assert not [name for name in tru.data.metrics if name.startswith("std_requests/")]
    expected_tags = {"dataset": "synthetic", "method": "tru", "requests": "0", "seeds": "0, 1"}
    expected_tags |= {"options": "default", "code": "none"}
    assert expected_tags.items() <= tru.data.tags.items()
    (folder,) = of_kind(uri, FOLDER)
    assert {run.data.tags[PARENT_TAG] for run in (gold, tru)} == {folder.info.run_id}


def test_requests_are_averaged_and_their_spread_stands_apart(uri: str) -> None:
    place = store(uri)
    for seed in (0, 1):
        record(place, table_cell(seed, "tru", "regime.seed=1"), {TEST_RECALL: 0.45 + seed / 100})
    refresh(uri, "lethe")
    tru = of_kind(uri, AGGREGATE)[1]
    assert tru.info.run_name == "synthetic/mgcn/user/tru (2 requests x 2 seeds)"
    assert tru.data.metrics[TEST_RECALL] == pytest.approx(0.355)
    assert tru.data.metrics[f"std/{TEST_RECALL}"] == pytest.approx(statistics.stdev([0.25, 0.26]))
    assert tru.data.metrics[f"std_requests/{TEST_RECALL}"] == pytest.approx(statistics.stdev([0.255, 0.455]))
    assert tru.data.tags["requests"] == "0, 1"
    note = tru.data.tags[NOTE_TAG]
    assert "mean over 2 requests x 2 seeds" in note
    assert "request 1, seed 0" in note
    (cell_of_1,) = [r for r in runs(uri, "lethe") if r.at == (1, 0) and r.labels["method"] == "tru"]
    assert "regime.seed=1" in cell_of_1.tags[NOTE_TAG]


def test_list_excess_is_among_the_means_and_the_overlap_with_the_same_seed_is_no_headline(uri: str) -> None:
    place = store(uri)
    for method, noise in (("retrain", 0.2), ("tru", 0.5)):
        for seed in (2, 3):
            lists = model_lists(0, f"{method}{seed}", noise)
            metrics = {TEST_RECALL: 0.2, "gold_distance/overlap_at_20": 0.9}
            record(place, table_cell(seed, method), metrics, lists=lists)
    refresh(uri, "lethe")
    gold, tru = of_kind(uri, AGGREGATE)
    assert gold.data.metrics[LIST_EXCESS] == pytest.approx(0, abs=1e-9)
    assert tru.data.metrics[LIST_EXCESS] > 0.1
    assert "list excess" in tru.data.tags[NOTE_TAG]
    assert "overlap" not in tru.data.tags[NOTE_TAG]
    (one,) = [r for r in runs(uri, "lethe") if r.seed == 2 and r.labels["method"] == "tru"]
    assert "list excess" in one.tags[NOTE_TAG]


def test_runs_of_other_code_are_left_out_of_means_and_told_so(uri: str) -> None:
    place = store(uri)
    edited = record(
        place, table_cell(0, "tru"), {TEST_RECALL: 0.9}, key="edited", tags={CODE_TAG + "method": "edited"}
    )
    refresh(uri, "lethe")
    tru = of_kind(uri, AGGREGATE)[1]
    assert tru.data.metrics[TEST_RECALL] == pytest.approx(0.255)
    assert tru.data.tags["code"] == "1 run of other code left out"
    (found,) = [run for run in runs(uri, "lethe") if run.run_id == edited]
    assert "Left out of tables and means" in found.tags[NOTE_TAG]


def test_refreshing_again_changes_nothing(uri: str) -> None:
    refresh(uri, "lethe")
    before = content(uri)
    assert refresh(uri, "lethe") == Refreshed()
    assert content(uri) == before


def test_a_new_seed_updates_the_aggregate_in_place(uri: str) -> None:
    refresh(uri, "lethe")
    before = of_kind(uri, AGGREGATE)[1].info.run_id
    record(store(uri), table_cell(2, "tru"), {TEST_RECALL: 0.55})
    done = refresh(uri, "lethe")
    assert done is not None
    assert done.written == 1
    tru = of_kind(uri, AGGREGATE)[1]
    assert tru.info.run_id == before
    assert tru.info.run_name == "synthetic/mgcn/user/tru (1 request x 3 seeds)"
    assert tru.data.tags["seeds"] == "0, 1, 2"
    assert tru.data.metrics[TEST_RECALL] == pytest.approx((0.25 + 0.26 + 0.55) / 3)


def test_what_cannot_be_taken_back_is_made_again_and_what_is_gone_is_removed(uri: str) -> None:
    place = store(uri)
    extra = record(place, table_cell(2, "tru"), {TEST_RECALL: 0.5, "audit/x": 1.0})
    other = record(place, table_cell(0, "mmrecun"), {TEST_RECALL: 0.5})
    refresh(uri, "lethe")
    before = {run.data.tags["method"]: run.info.run_id for run in of_kind(uri, AGGREGATE)}
    for run in (extra, other):
        place.client.delete_run(run)
    done = refresh(uri, "lethe")
    assert done is not None
    assert done.removed == 1
    after = {run.data.tags["method"]: run for run in of_kind(uri, AGGREGATE)}
    assert set(after) == {"retrain", "tru"}
    assert after["tru"].info.run_id != before["tru"]
    assert "audit/x" not in after["tru"].data.metrics
    assert after["retrain"].info.run_id == before["retrain"]


def test_what_was_cut_off_half_way_is_finished(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(AggregateRuns, "_fill", cut_off)
    with pytest.raises(KeyboardInterrupt):
        refresh(uri, "lethe")
    monkeypatch.undo()
    refresh(uri, "lethe")
    found = of_kind(uri, AGGREGATE)
    assert len(found) == 2
    assert all(run.info.status == "FINISHED" and TEST_RECALL in run.data.metrics for run in found)


def test_duplicates_that_two_machines_made_are_settled(uri: str) -> None:
    refresh(uri, "lethe")
    (first, _) = of_kind(uri, AGGREGATE)
    place = store(uri)
    place.client.create_run(place.experiment_id, tags=dict(first.data.tags))
    assert len(of_kind(uri, AGGREGATE)) == 3
    refresh(uri, "lethe")
    assert len(of_kind(uri, AGGREGATE)) == 2
    assert of_kind(uri, AGGREGATE)[0].info.run_id == first.info.run_id


def test_two_writers_at_once_make_no_duplicates(uri: str, tmp_path: Path) -> None:
    both = [Command("results", ["refresh", "--uri", uri], tmp_path, apart=False) for _ in range(2)]
    said = [command.communicate()[0] for command in both]
    assert sum(int(re.search(r"(\d+) means", text)[1]) for text in said) == 2, said  # type: ignore[index]
    assert len(of_kind(uri, AGGREGATE)) == 2
    assert len(of_kind(uri, FOLDER)) == 1
    assert not list(tmp_path.glob("*.lock"))


def test_only_touched_settings_are_updated(uri: str) -> None:
    record(store(uri), table_cell(0, "tru", regime="item"), {TEST_RECALL: 0.2})
    done = refresh(uri, "lethe", {SETTING}, sweeps=[])
    assert done is not None
    assert (done.written, done.removed) == (2, 0)
    assert {run.data.tags["regime"] for run in of_kind(uri, AGGREGATE)} == {"user"}
    refresh(uri, "lethe", {("synthetic", "mgcn", "item")}, sweeps=[])
    assert len(of_kind(uri, AGGREGATE)) == 3


def test_nothing_takes_an_aggregate_for_a_cell(uri: str, tmp_path: Path) -> None:
    before = [run.run_id for run in runs(uri, "lethe")]
    finished = recorded(TrackingConfig(uri=uri))
    assert command(["leaderboard", "--uri", uri, "--out", f"{tmp_path}/before.md"]) == 0
    assert command(["site", "--uri", uri, "--out", f"{tmp_path}/before.html"]) == 0
    refresh(uri, "lethe")
    assert [run.run_id for run in runs(uri, "lethe")] == before
    assert recorded(TrackingConfig(uri=uri)) == finished
    assert command(["leaderboard", "--uri", uri, "--out", f"{tmp_path}/after.md"]) == 0
    assert command(["site", "--uri", uri, "--out", f"{tmp_path}/after.html"]) == 0
    for name in ("md", "html"):
        assert (tmp_path / f"before.{name}").read_bytes() == (tmp_path / f"after.{name}").read_bytes()
    assert export(uri, "lethe", tmp_path / "runs.zip") == len(before)


def test_cells_are_described_beside_gold_with_commands(uri: str) -> None:
    place = store(uri)
    for run in place.runs(f"tags.`{KIND_TAG}` = 'cell'"):
        place.client.set_tag(run.info.run_id, "lethe.gold_key", f"gold {run.data.tags['seed']}")
    refresh(uri, "lethe")
    (tru,) = [r for r in runs(uri, "lethe") if r.labels["method"] == "tru" and r.seed == 1]
    note = tru.tags[NOTE_TAG]
    assert "| test recall@20&nbsp;&nbsp;&nbsp; | 0.2600&nbsp;&nbsp;&nbsp; | 0.3100" in note
    assert "-0.0500" in note
    assert "python -m bench dataset=synthetic" in note
    assert "python -m results explain tru-table-1 mgcn/synthetic/user/tru" in note
    means = of_kind(uri, AGGREGATE)[1]
    assert f"runs/{means.info.run_id}" in note
    assert f"runs/{tru.run_id}" in means.data.tags[NOTE_TAG]


def test_the_commands_of_a_description_work(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("method.gate=false", "train.max_epochs=7", "backbone.modalities=[text]")
    record(store(uri), table_cell(5, "tru", *options), {TEST_RECALL: 0.2})
    (run,) = [run for run in runs(uri, "lethe") if run.seed == 5]
    text = command_of(run, Defaults([run]))
    assert text is not None
    for option in options[:2]:
        assert option in text
    assert expected([shlex.split(text)[3:]])[0] == expected([table_cell(5, "tru", *options)])[0]
    plain = next(run for run in runs(uri, "lethe") if run.seed == 1 and run.labels["method"] == "tru")
    explained = explain_command(plain)
    assert explained is not None
    assert command([*shlex.split(explained)[3:], "--uri", uri]) == 0
    assert "0.26" in capsys.readouterr().out


def test_a_sweep_gets_board_page_figures_and_a_description(uri: str) -> None:
    place = store(uri)
    labels = {run.cell_key: "a label" for run in runs(uri, "lethe")} | {"not run": "synthetic/x"}
    parent = place.start("sweep of 5", {KIND_TAG: "sweep", COMMAND_TAG: "python -m bench -m method=tru"})
    place.log_json(parent, CELLS_FILE, labels)
    place.finish(parent)
    done = refresh(uri, "lethe", {SETTING}, sweeps=[parent])
    assert done is not None
    assert done.sweeps == 1
    names = {file.path for file in place.client.list_artifacts(parent)}
    assert {"leaderboard.md", "leaderboard.csv", "page.html", "figures"} <= names
    note = place.client.get_run(parent).data.tags[NOTE_TAG]
    assert "4 of 5 cells finished" in note
    assert "python -m bench -m method=tru" in note
    assert "synthetic/x: not started" in note
    assert "0.2550" in note
    files = {name: place.client.download_artifacts(parent, name) for name in sorted(names)}
    first = {name: Path(file).read_bytes() for name, file in files.items() if Path(file).is_file()}
    refresh(uri, "lethe", {SETTING}, sweeps=[parent])
    assert first == {name: Path(files[name]).read_bytes() for name in first}


def test_the_experiment_has_views_and_says_how_to_use_them(uri: str) -> None:
    refresh(uri, "lethe")
    place = store(uri)
    tags = place.client.get_experiment(place.experiment_id).tags
    for view in VIEWS:
        envelope = json.loads(tags[f"mlflow.sharedViewState.{view.id}"])
        assert envelope["name"] == view.name
        state = json.loads(envelope["state"])
        assert set(state["selectedColumns"]) <= set(state["columnOrder"])
        assert f"viewStateShareKey={view.id}" in tags[NOTE_TAG]
        assert len(place.client.search_runs([place.experiment_id], state["searchFilter"])) >= 0
    assert max(len(value) for value in tags.values()) <= 5000, "older MLflow keeps 5000 characters"


def test_the_content_of_an_aggregate_does_not_depend_on_order() -> None:
    ways = [
        [aggregate(group, "note").digest for group in grouped(own, {})] for own in (cells(), cells()[::-1])
    ]
    assert ways[0] == ways[1]
    assert len(set(ways[0])) == len(ways[0])


def test_a_value_that_is_no_number_is_left_out() -> None:
    (group,) = grouped([cell("tru", 0, test__recall_at_20=float("nan")), cell("tru", 1)], {})
    found = aggregate(group, "").metrics
    assert found[TEST_RECALL] == pytest.approx(0.28)
    assert f"std/{TEST_RECALL}" not in found


def test_a_long_description_is_cut_at_a_line_and_says_so() -> None:
    text = fitted(["x" * 99] * 200)
    assert len(text) < NOTE_LIMIT + 60
    assert text.endswith("… 125 more lines: see the artifacts.\n")
    assert fitted(["a", "b"]) == "a\nb\n"


def test_command_line(uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["refresh", "--uri", f"sqlite:///{tmp_path}/none.db"]) == 1
    assert "no finished cell" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()
    assert command(["refresh", "--uri", uri]) == 0
    assert "2 means over requests and seeds written" in capsys.readouterr().err


def test_ui_says_where_and_starts_a_server_for_a_local_store(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[list[str]] = []

    def run(words: list[str]) -> subprocess.CompletedProcess[str]:
        started.append(words)
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr("results.mlflow_ui.command.subprocess.run", run)
    assert command(["ui", "--uri", uri, "--port", "5077"]) == 0
    link = "http://127.0.0.1:5077/#/experiments/1/runs?viewStateShareKey=lethe-means"
    assert f"MLflow: {link}" in capsys.readouterr().out
    assert started[0][1:4] == ["-m", "mlflow", "ui"]
    assert command(["ui", "--uri", f"sqlite:///{tmp_path}/none.db"]) == 0
    assert "make demo" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()

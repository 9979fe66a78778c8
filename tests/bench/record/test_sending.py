"""What was computed reaches the store once, whole, whatever the store does meanwhile."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from bench.config.schema import TrackingConfig
from bench.record import sending
from bench.record.__main__ import main
from bench.record.finished import recorded
from bench.record.local import spool
from bench.record.local.faults import StoreAway
from bench.record.names import CELL_KEY_TAG, KIND_TAG, RETIRED_TAG
from bench.record.sending import Recording, flush
from bench.record.store import Store
from tests.bench.cells import start, statuses
from tests.bench.faulty import install
from tests.bench.sweep.test_resume import wait_for

CELL = "0123456789abcdef01234567"
CALLS = ("get_run", "search_runs", "create_run", "log_batch", "log_inputs", "log_artifact", "set_terminated")
"""What sending asks of MLflow's client."""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without an experiment: its schema takes seconds to create, a copy of it takes none."""
    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def tracking(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrackingConfig:
    shutil.copyfile(empty, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    return TrackingConfig(uri="sqlite:///mlflow.db")


def kept(tracking: TrackingConfig, forced: bool = False) -> tuple[Recording, Path]:
    """A finished cell that is in the spool and not sent."""
    recording = Recording(tracking, CELL, "a/b/c/d", {KIND_TAG: "cell", CELL_KEY_TAG: CELL}, forced)
    recording.note({"seed": 3, "method.name": "tru"}, {"device.type": "cpu"})
    curves = {"curve/loss": [(1, 0.5), (2, 0.25)]}
    data = {"name": "shop", "key": "k" * 24, "source": "files", "profile": {"num_users": 3}}
    with recording.keep({"test/recall_at_20": 0.125}, curves, {"note.x": "y"}, data) as folder:
        (folder / "trajectory.json").write_text("[]")
        (folder / "dataset").mkdir()
        (folder / "dataset" / "card.md").write_text("# shop")
    (record,) = spool.folders(tracking.spool)
    return recording, record


def assert_there_once(tracking: TrackingConfig) -> None:
    """One finished run with everything, and nothing left to send."""
    store = Store(tracking)
    runs = store.runs("")
    assert [run.info.status for run in runs] == ["FINISHED"]
    (run,) = runs
    assert run.data.params == {"seed": "3", "method.name": "tru"}
    assert run.data.metrics == {"test/recall_at_20": 0.125, "curve/loss": 0.25}
    history = store.client.get_metric_history(run.info.run_id, "curve/loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.25)]
    assert (run.data.tags["device.type"], run.data.tags["note.x"]) == ("cpu", "y")
    assert "lethe.failure" not in run.data.tags
    assert [one.dataset.name for one in run.inputs.dataset_inputs] == ["shop"]
    names = [one.path for one in store.client.list_artifacts(run.info.run_id)]
    assert sorted(names) == ["dataset", "trajectory.json"]
    assert run.info.end_time >= run.info.start_time
    assert spool.folders(tracking.spool) == []


def test_a_finished_cell_is_kept_sent_and_confirmed(tracking: TrackingConfig) -> None:
    recording, record = kept(tracking)
    assert recorded(tracking).finished == {CELL: record.name}, "what is kept counts as finished"
    assert recording.send() == recording.run_id
    assert_there_once(tracking)
    assert list(tracking.spool.iterdir()) == []


def test_sending_twice_makes_no_second_run(tracking: TrackingConfig, tmp_path: Path) -> None:
    _, record = kept(tracking)
    shutil.copytree(record, tmp_path / "copy")
    assert flush(tracking).sent == 1
    shutil.copytree(tmp_path / "copy", record)
    assert flush(tracking).sent == 1
    assert_there_once(tracking)


@pytest.mark.parametrize("lost", ["request", "response"])
@pytest.mark.parametrize("begun", [True, False])
def test_cut_at_every_call_it_is_there_once(
    begun: bool, lost: str, tracking: TrackingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is cut at the first call, at the second, ..., and each time sending starts anew."""
    with monkeypatch.context() as away:
        if not begun:
            away.setattr(Store, "start", _away)
        kept(tracking)
    cut = _Cut(lost)
    for name in CALLS:
        monkeypatch.setattr(MlflowClient, name, cut.wrapped(getattr(MlflowClient, name)))
    rounds = 0
    while spool.folders(tracking.spool):
        rounds += 1
        assert rounds < 40
        cut.start(at=rounds)
        flush(tracking)
    assert rounds > len(CALLS), "every call was cut once"
    cut.start(at=0)
    assert_there_once(tracking)


class _Cut:
    """Loses one call, before or after it did its work."""

    def __init__(self, lost: str) -> None:
        self._lost, self._at, self._count = lost, 0, 0

    def start(self, at: int) -> None:
        self._at, self._count = at, 0

    def wrapped(self, own: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self._count += 1
            broken = self._count == self._at
            if broken and self._lost == "request":
                raise ConnectionResetError("cut")
            done = own(*arguments, **named)
            if broken:
                raise MlflowException("cut")  # as the client reports a broken connection
            return done

        return call


def _away(*_: Any, **__: Any) -> str:
    raise StoreAway("away")


def test_a_run_that_was_taken_for_dead_meanwhile_is_finished(tracking: TrackingConfig) -> None:
    recording, _ = kept(tracking)
    assert recording.run_id is not None
    Store(tracking).close(recording.run_id, "killed: its process ended without a word")
    assert flush(tracking).sent == 1
    assert_there_once(tracking)


def test_a_cell_that_another_run_finished_is_not_recorded_again(tracking: TrackingConfig) -> None:
    kept(tracking)
    store = Store(tracking)
    other = store.start("other", {KIND_TAG: "cell", CELL_KEY_TAG: CELL})
    store.finish(other)
    assert flush(tracking).sent == 1
    assert sorted(run.info.status for run in store.runs("")) == ["FINISHED", "KILLED"]
    kept(tracking, forced=True)
    flush(tracking)
    assert sorted(run.info.status for run in store.runs("")) == ["FINISHED", "FINISHED", "KILLED"]


def test_a_retired_run_does_not_stand_in_the_way(tracking: TrackingConfig) -> None:
    store = Store(tracking)
    other = store.start("other", {KIND_TAG: "cell", CELL_KEY_TAG: CELL, RETIRED_TAG: "wrong"})
    store.finish(other)
    kept(tracking)
    flush(tracking)
    assert sorted(run.info.status for run in store.runs("")) == ["FINISHED", "FINISHED"]


@pytest.mark.parametrize("damage", ["edited", "cut", "artifact", "list"])
def test_a_damaged_record_is_set_aside_and_the_cell_is_due(
    damage: str, tracking: TrackingConfig, caplog: pytest.LogCaptureFixture
) -> None:
    _, record = kept(tracking)
    file = record / "record.json"
    if damage == "edited":
        file.write_text(file.read_text().replace("0.125", "0.999"))
    elif damage == "cut":
        file.write_text(file.read_text()[:-20])
    elif damage == "list":
        file.write_text("[]")
    else:
        (record / "artifacts" / "trajectory.json").write_text("[1]")
    flush(tracking)
    assert "is damaged" in caplog.text
    assert recorded(tracking).finished == {}
    assert [path.name.partition(".damaged-")[0] for path in tracking.spool.iterdir()] == [record.name]


def test_what_the_store_refuses_fails_and_is_set_aside(
    tracking: TrackingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording, _ = kept(tracking)

    def refuse(*_: Any, **__: Any) -> None:
        raise MlflowException("a value is too long", error_code=1000)  # INVALID_PARAMETER_VALUE

    monkeypatch.setattr(MlflowClient, "log_batch", refuse)
    with pytest.raises(MlflowException, match="too long"):
        recording.send()
    assert recorded(tracking).finished == {}


def test_flush_and_list_on_the_command_line(
    tracking: TrackingConfig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, record = kept(tracking)
    assert main(["list"]) == 0
    assert f"{record.name}: a/b/c/d, for lethe in sqlite:///" in capsys.readouterr().out
    with monkeypatch.context() as broken:
        broken.setattr(sending, "Store", _away)
        assert main(["flush"]) == 1
    assert "0 records sent, 1 are left in spool" in capsys.readouterr().out
    assert main(["flush"]) == 0
    assert "1 records sent, 0 are left in spool" in capsys.readouterr().out
    assert main(["flush"]) == 0
    assert_there_once(tracking)


def test_a_store_that_is_locked_while_a_cell_ends_has_it_in_the_end(tmp_path: Path) -> None:
    process = start(tmp_path, *install(tmp_path), "-m", "method=wait", "method.seconds=1,1.5")
    wait_for((tmp_path / "waiting").exists)
    locked = sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)
    locked.execute("BEGIN EXCLUSIVE")
    wait_for(lambda: any((tmp_path / "spool").glob("*/record.json")))
    locked.rollback()
    locked.close()
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert sorted(statuses(tmp_path)) == [("wait", "FINISHED")] * 2
    assert list((tmp_path / "spool").iterdir()) == []

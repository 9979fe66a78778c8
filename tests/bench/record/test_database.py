"""MLflow's schema, read directly, says what MLflow's client says: held to the version that is pinned."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from bench.config.schema import TrackingConfig
from bench.record.finished import recorded
from bench.record.local import database
from bench.record.names import CELL_KEY_TAG, FAILURE_TAG, KIND_TAG, RETIRED_TAG
from bench.record.store import Store, ended_runs
from tests.house import ROOT, modules

SECONDS = ("time/unlearn_seconds", "train/gold_seconds")
LABELS = ("dataset", "method", KIND_TAG)


def cell(store: Store, key: str, status: str, **metrics: float) -> str:
    """A run of a cell; the labels of ``key`` are overwritten once, the last step is logged first."""
    run = store.start("cell", {KIND_TAG: "cell", CELL_KEY_TAG: key, "dataset": "before", "method": "tru"})
    store.log(run, tags={"dataset": "baby"}, params={"method": "a parameter is no tag"})
    for name, value in metrics.items():
        for step in (1, 0):
            store.log(run, curves={name.replace("__", "/"): [(step, value * (2 - step))]})
    if status == "FAILED":
        store.fail(run, ValueError("no"))
    elif status == "KILLED":
        store.close(run, "killed: nobody knows")
    elif status == "FINISHED":
        store.finish(run)
    return run


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> TrackingConfig:
    """A store with runs in every state, deleted and retired ones, other kinds, and another experiment."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/runs.db"
    other = Store(TrackingConfig(uri=uri, experiment="other"))
    cell(other, "a", "FINISHED", time__unlearn_seconds=99.0)
    store = Store(TrackingConfig(uri=uri))
    for key, status in (("a", "FAILED"), ("b", "KILLED"), ("c", "RUNNING"), ("d", "FAILED")):
        cell(store, key, status, time__unlearn_seconds=3.0)
    for key in ("a", "e", "a"):
        cell(store, key, "FINISHED", time__unlearn_seconds=7.0, train__gold_seconds=80.5, test__recall=0.1)
    store.client.delete_run(cell(store, "f", "FINISHED", time__unlearn_seconds=5.0))
    store.log(cell(store, "e", "FAILED"), tags={RETIRED_TAG: "its data were wrong"})
    store.finish(store.start("sweep", {KIND_TAG: "sweep"}))
    return TrackingConfig(uri=uri)


def test_mlflow_is_the_version_that_is_pinned() -> None:
    (pinned,) = re.findall(r"^mlflow==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert version("mlflow") == pinned


def test_no_other_module_knows_the_schema() -> None:
    sources = {name: path.read_text(encoding="utf-8") for name, path in modules().items()}
    names = ("latest_metrics", "run_uuid", "lifecycle_stage = ")
    assert {n for n, text in sources.items() if any(k in text for k in names)} == {
        "bench.record.local.database"
    }


@pytest.mark.parametrize("key", [None, *"abcdef"])
def test_ended_cells(tracking: TrackingConfig, key: str | None) -> None:
    direct = database.ended_cells(
        tracking.uri, tracking.experiment, (CELL_KEY_TAG, FAILURE_TAG, RETIRED_TAG), key
    )
    assert sorted(direct, key=str) == sorted(ended_runs(tracking, key), key=str)
    assert len(direct) == (6 if key is None else {"a": 3, "c": 0, "f": 0}.get(key, 1))


def test_the_record_of_cells(tracking: TrackingConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    direct = [recorded(tracking, key) for key in (None, "a", "b", "d")]
    assert direct[0].failed == {"d": "ValueError: no"}
    assert direct[0].finished.keys() == {"a", "e"}
    monkeypatch.setattr("bench.record.local.database.is_local", lambda uri: False)
    assert [recorded(tracking, key) for key in (None, "a", "b", "d")] == direct


def test_values_of_finished_runs(tracking: TrackingConfig) -> None:
    through = {
        run.info.run_id: {
            **{key: value for key, value in run.data.tags.items() if key in LABELS},
            **{key: str(value) for key, value in run.data.metrics.items() if key in SECONDS},
        }
        for run in Store(tracking).runs("attributes.status = 'FINISHED'")
    }
    direct = database.finished_values(tracking.uri, tracking.experiment, LABELS, SECONDS)
    assert direct == through
    values = {"dataset": "baby", "method": "tru", KIND_TAG: "cell", SECONDS[0]: "7.0", SECONDS[1]: "80.5"}
    assert list(direct.values()).count(values) == 3


def test_ids_of_experiments(tracking: TrackingConfig) -> None:
    client = Store(tracking).client
    for name in (tracking.experiment, "other"):
        known = client.get_experiment_by_name(name)
        assert known is not None
        assert database.experiment_id(tracking.uri, name) == known.experiment_id
    assert database.experiment_id(tracking.uri, "neither") is client.get_experiment_by_name("neither") is None


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[tuple[str, sqlite3.Connection]]:
    connection = sqlite3.connect(tmp_path / "empty.db")
    yield f"sqlite:///{tmp_path}/empty.db", connection
    connection.close()


def test_a_store_that_is_absent_or_not_yet_made_holds_nothing(
    empty: tuple[str, sqlite3.Connection], tmp_path: Path
) -> None:
    absent = f"sqlite:///{tmp_path}/absent.db"
    assert (database.is_absent(absent), database.is_absent(empty[0])) == (True, False)
    for uri in (absent, empty[0]):
        assert recorded(TrackingConfig(uri=uri)).finished == {}
        assert database.finished_values(uri, "lethe", LABELS, SECONDS) == {}
        assert database.experiment_id(uri, "lethe") is None
    assert not (tmp_path / "absent.db").exists()


def test_another_schema_is_an_error_and_not_an_empty_store(empty: tuple[str, sqlite3.Connection]) -> None:
    uri, connection = empty
    connection.execute("CREATE TABLE tags (name TEXT)")
    connection.commit()
    with pytest.raises(sqlite3.OperationalError):
        recorded(TrackingConfig(uri=uri))

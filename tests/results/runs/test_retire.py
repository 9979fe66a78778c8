"""Runs that are taken out: gone from every reader, kept in the store with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.config.schema import TrackingConfig
from bench.record.finished import recorded
from bench.record.names import RETIRED_TAG, TEST_RECALL
from results.__main__ import main as command
from results.runs.bundle import export
from results.runs.frame import retired, runs
from tests.results.store import record, store, table_cell


@pytest.fixture
def place(tmp_path: Path) -> tuple[str, list[str]]:
    """A store with two cells, and their run ids."""
    made = store(f"sqlite:///{tmp_path}/mlflow.db")
    return made.uri, [record(made, table_cell(seed, "tru"), {TEST_RECALL: 0.3}) for seed in (0, 1)]


def test_a_retired_run_counts_nowhere_and_is_kept_with_its_reason(
    place: tuple[str, list[str]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    uri, (gone, kept) = place
    assert command(["retire", gone, "--reason", " trained on test ", "--uri", uri]) == 0
    assert f"retired: {gone} (synthetic/mgcn/user/tru, request 0, seed 0)" in capsys.readouterr().out
    assert [run.run_id for run in runs(uri, "lethe")] == [kept]
    (found,) = retired(uri, "lethe")
    assert (found.run_id, found.tags[RETIRED_TAG], found.status) == (gone, "trained on test", "FINISHED")
    assert found.cell_key not in recorded(TrackingConfig(uri=uri)).finished, "its cell is due again"
    assert export(uri, "lethe", tmp_path / "runs.zip") == 1


@pytest.mark.parametrize(
    ("names", "reason", "complaint"),
    [
        (["nosuchrun"], "x", "run=nosuchrun is not the id of a cell's run"),
        (["ab"], "x", "run=ab is not the id"),
        (None, " ", "--reason is empty"),
    ],
)
def test_what_cannot_be_retired_is_said_and_nothing_is_changed(
    place: tuple[str, list[str]],
    names: list[str] | None,
    reason: str,
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    uri, ids = place
    assert command(["retire", ids[0], *(names or []), "--reason", reason, "--uri", uri]) == 2
    assert complaint in capsys.readouterr().err
    assert len(runs(uri, "lethe")) == 2


def test_a_run_is_retired_once(place: tuple[str, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    uri, ids = place
    assert command(["retire", ids[0], "--reason", "x", "--uri", uri]) == 0
    assert command(["retire", ids[0], "--reason", "y", "--uri", uri]) == 2
    assert "is retired already" in capsys.readouterr().err

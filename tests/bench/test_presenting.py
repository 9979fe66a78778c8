"""What is told of a sweep that has ended, and that telling cannot spoil it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli import main
from bench.record.names import CELLS_FILE, COMMAND_TAG, KIND_TAG
from bench.sweep.sweep import EndedSweep
from tests.bench.cells import TINY
from tests.results.store import store

SWEEP = [*(word for word in TINY if "refresh" not in word), "-m", "method=original,reset"]


def test_a_presenter_is_told_and_its_failure_costs_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    told: list[EndedSweep] = []

    def present(ended: EndedSweep) -> None:
        told.append(ended)
        raise ValueError("no figure today\nand more")

    assert main(SWEEP, present) == 0
    (ended,) = told
    assert ended.settings == (("synthetic_tiny", "mgcn", "user"),)
    said = capsys.readouterr()
    assert said.err.count("warning: MLflow's pages") == 1
    assert "no figure today" in said.err
    assert "and more" not in said.err
    assert "python -m results refresh" in said.err
    (parent,) = store(f"sqlite:///{tmp_path}/mlflow.db").runs(f"tags.`{KIND_TAG}` = 'sweep'")
    assert (parent.info.run_id, parent.info.status) == (ended.parent, "FINISHED")
    assert parent.data.tags[COMMAND_TAG].startswith("python -m bench dataset=synthetic_tiny")
    client = store(f"sqlite:///{tmp_path}/mlflow.db").client
    assert CELLS_FILE in {file.path for file in client.list_artifacts(ended.parent)}

    assert main([*SWEEP, "tracking.refresh=false"], present) == 0
    assert len(told) == 1
    assert main([*SWEEP[:-2], "method=reset"], present) == 0
    assert len(told) == 1, "one cell that was finished before changes nothing"

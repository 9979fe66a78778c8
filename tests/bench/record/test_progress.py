"""What a running cell reports, and what the sweep shows of it."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from bench.record.progress import Progress, State, phase, progress, reporting
from bench.sweep import watch
from bench.sweep.watch import render, states, summary, watching


def shown(*running: State, finished: int = 1, total: int = 4, seconds: float = 60.0) -> str:
    console = Console(file=io.StringIO(), width=150)
    console.print(render(list(running), finished, total, seconds))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_cell_reports_phase_epoch_and_recall(tmp_path: Path) -> None:
    with reporting("a cell", tmp_path):
        with progress("training gold") as told:
            told.epoch(3, 10, loss=0.5, recall=0.25)
            time.sleep(0.6)
            told.epoch(4, 10, loss=0.4, recall=0.3)
        (state,) = states(tmp_path)
        assert (state.label, state.phase, state.epoch, state.max_epochs) == ("a cell", "training gold", 4, 10)
        assert state.recall == pytest.approx(0.3)
        phase("evaluating")
        (state,) = states(tmp_path)
        assert (state.phase, state.epoch, state.recall) == ("evaluating", 0, None)
    assert states(tmp_path) == []


def test_nobody_has_to_listen() -> None:
    phase("training")
    Progress("training").epoch(1, 2, loss=0.5, recall=0.25)


def test_one_line_per_cell_and_the_total() -> None:
    state = State("baby/mgcn", "training gold", 20, 50, recall=0.0754, started=1000.0, updated=1040.0)
    lines = shown(state).splitlines()
    assert all(part in lines[0] for part in ("baby/mgcn", "epoch 20/50", "recall@20 0.0754", "0:01:00 left"))
    assert lines[-1].strip() == "1 of 4 cells finished in 0:01:00, about 0:03:00 left"


def test_silent_and_earlier_states_are_not_shown(tmp_path: Path) -> None:
    with reporting("a cell", tmp_path):
        phase("training")
        assert len(states(tmp_path)) == 1
        assert states(tmp_path, since=time.time() + 1) == []
    (tmp_path / "half.json").write_text('{"state": ')
    assert states(tmp_path) == []


@pytest.mark.parametrize("terminal", [True, False])
def test_the_view_runs_beside_the_sweep(
    terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "REFRESH_SECONDS", 0.02)
    monkeypatch.setattr(watch, "LOG_EVERY_SECONDS", 0.02)
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=120)
    with reporting("a cell", tmp_path), watching(tmp_path, 3, lambda: 1, console):
        phase("training gold")
        deadline = time.monotonic() + 10
        while "1 of 3 cells finished" not in file.getvalue() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
    assert "1 of 3 cells finished" in file.getvalue()
    assert ("training gold" in file.getvalue()) == terminal


def test_no_estimate_of_the_rest_before_the_first_cell() -> None:
    assert summary(0, 4, 10.0) == "0 of 4 cells finished in 0:00:10"

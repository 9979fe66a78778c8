"""Sweeps that are killed, interrupted, fail or run out of disk, and the same command again."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench import cells
from tests.bench.cells import failures, finished, leftovers, statuses
from tests.bench.faulty import install
from tests.bench.warm import bench, start

LAUNCHERS = {"serial": ("launch=serial",), "local": ("launch=local", "launch.jobs=2")}
every_launcher = pytest.mark.parametrize("launch", LAUNCHERS.values(), ids=LAUNCHERS)


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this never happened"
        time.sleep(0.05)


@every_launcher
def test_sigkill_in_the_middle_loses_nothing_finished(launch: tuple[str, ...], tmp_path: Path) -> None:
    plugins = install(tmp_path)
    sweep = (*plugins, "-m", "method=original,wait", *launch)
    process = start(tmp_path, *sweep)
    wait_for((tmp_path / "waiting").exists)
    wait_for(lambda: ("original", "FINISHED") in statuses(tmp_path))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert ("wait", "RUNNING") in statuses(tmp_path)
    again = bench(tmp_path, *sweep, "launch=serial")  # how cells are launched is no part of them
    assert again.returncode == 0, again.stdout + again.stderr
    assert (finished(again, "finished before"), finished(again)) == (1, 1)
    assert sorted(statuses(tmp_path)) == [("original", "FINISHED"), ("wait", "FINISHED"), ("wait", "KILLED")]
    assert sorted(status for _, status in statuses(tmp_path, "sweep")) == ["FINISHED", "KILLED"]
    assert all("ended without a word" in cause for cause in failures(tmp_path))
    assert leftovers(tmp_path) == []


@every_launcher
def test_ctrl_c_is_recorded_and_exits_with_130(launch: tuple[str, ...], tmp_path: Path) -> None:
    plugins = install(tmp_path)
    process = start(tmp_path, *plugins, "-m", "method=wait", "method.seconds=600,601", *launch)
    wait_for((tmp_path / "waiting").exists)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "the same command runs the rest" in output
    runs = statuses(tmp_path) + statuses(tmp_path, "sweep")
    assert len(runs) >= 2
    assert {status for _, status in runs} == {"KILLED"}
    assert leftovers(tmp_path) == []


def test_sigkill_while_the_store_is_created(tmp_path: Path) -> None:
    process = cells.start(tmp_path, "method=original")
    wait_for(lambda: any(tmp_path.glob(".mlflow.db.new*")) or (tmp_path / "mlflow.db").exists())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "mlflow.db").exists(), "killed too late to show anything"
    again = cells.bench(tmp_path, "method=original")
    assert again.returncode == 0, again.stderr
    assert leftovers(tmp_path) == []


def test_a_failed_cell_is_listed_and_only_retried_when_asked(tmp_path: Path) -> None:
    plugins, switch = install(tmp_path), tmp_path / "broken"
    switch.touch()
    sweep = (*plugins, "-m", "method=fail,original")
    first = bench(tmp_path, *sweep)
    assert first.returncode == 1
    assert "failed: synthetic_tiny/mgcn/user/fail/0: RuntimeError: the switch is on" in first.stdout
    assert sorted(statuses(tmp_path)) == [("fail", "FAILED"), ("original", "FINISHED")]
    assert len(list(tmp_path.glob("mlartifacts/**/failure.txt"))) == 1
    second = bench(tmp_path, *sweep)
    assert second.returncode == 1
    assert "failed before: synthetic_tiny/mgcn/user/fail/0: RuntimeError: the switch is on" in second.stdout
    assert len(statuses(tmp_path)) == 2
    plan = bench(tmp_path, *sweep, "run.dry=true")
    assert "0 cells to run" in plan.stdout
    assert "1 cells failed before" in plan.stdout
    switch.unlink()
    third = bench(tmp_path, *sweep, "run.retry_failed=true")
    assert third.returncode == 0, third.stdout
    assert (finished(third), finished(third, "finished before")) == (1, 1)


def test_a_lost_worker_is_replaced(tmp_path: Path) -> None:
    plugins = install(tmp_path)
    done = bench(
        tmp_path, *plugins, "-m", "method=original,crash,graph_only", "launch=local", "launch.jobs=2"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert finished(done) == 3
    assert len(set((tmp_path / "crashed").read_text().split())) == 2
    assert ("crash", "KILLED") in statuses(tmp_path)
    assert leftovers(tmp_path) == []


def test_two_sweeps_started_together_run_each_cell_once(tmp_path: Path) -> None:
    sweep = ("-m", "method=original,retrain,graph_only")
    both = [start(tmp_path, *sweep) for _ in range(2)]
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum(output.count(": trained in") for output in outputs) == 2
    assert sorted(statuses(tmp_path)) == [
        ("graph_only", "FINISHED"),
        ("original", "FINISHED"),
        ("retrain", "FINISHED"),
    ]
    assert leftovers(tmp_path) == []


def test_a_cell_runs_once_although_the_cache_is_deleted_meanwhile(tmp_path: Path) -> None:
    plugins = install(tmp_path)
    sweep = (*plugins, "method=wait", "method.seconds=8")
    first = start(tmp_path, *sweep)
    wait_for((tmp_path / "waiting").exists)
    shutil.rmtree(tmp_path / "cache")
    second = start(tmp_path, *sweep)
    outputs = [process.communicate(timeout=300)[0] for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0], outputs
    assert [status for _, status in statuses(tmp_path)] == ["FINISHED"]
    assert leftovers(tmp_path) == []

"""SIGTERM, SIGHUP and a command that is killed outright: nothing stays running, nothing stays RUNNING."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.bench.cells import ROOT, finished, leftovers, statuses
from tests.bench.faulty import install
from tests.bench.sweep.test_resume import LAUNCHERS, wait_for
from tests.bench.warm import Command, bench, start
from tests.products import in_turn


def survivors(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run."""
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def waiting_sweep(folder: Path, launch: tuple[str, ...]) -> tuple[Command, list[psutil.Process]]:
    """A sweep whose cells wait, and its child processes."""
    process = start(folder, *install(folder), "-m", "method=wait", "method.seconds=600,601", *launch)
    wait_for((folder / "waiting").exists)
    return process, psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize(("launcher", "name"), in_turn(sorted(LAUNCHERS), ["SIGTERM", "SIGHUP"]))
def test_a_signal_to_the_command_alone_ends_it_like_ctrl_c(launcher: str, name: str, tmp_path: Path) -> None:
    launch, number = LAUNCHERS[launcher], signal.Signals[name]
    process, children = waiting_sweep(tmp_path, launch)
    os.kill(process.pid, number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, output
    assert "the same command runs the rest" in output
    wait_for(lambda: not survivors(children))
    runs = statuses(tmp_path) + statuses(tmp_path, "sweep")
    assert len(runs) >= 2
    assert {status for _, status in runs} == {"KILLED"}
    assert leftovers(tmp_path) == []


def test_workers_end_by_themselves_when_their_command_is_killed_outright(tmp_path: Path) -> None:
    process, children = waiting_sweep(tmp_path, ("launch=local", "launch.jobs=2"))
    assert len(children) >= 2
    process.kill()
    process.communicate()
    wait_for(lambda: not survivors(children))
    wait_for(lambda: {status for _, status in statuses(tmp_path)} == {"KILLED"})
    again = bench(tmp_path, "-m", "method=original,retrain")
    assert again.returncode == 0, again.stdout + again.stderr
    assert finished(again) == 2
    assert {status for _, status in statuses(tmp_path, "sweep")} == {"KILLED", "FINISHED"}
    assert leftovers(tmp_path) == []


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """As ``nohup`` starts a command."""
    program = (
        "import os, signal\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from bench.machine.signals import stopping\n"
        "with stopping():\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "print('still here')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "still here\n"


def test_a_tune_ends_like_ctrl_c(tmp_path: Path) -> None:
    plugins = install(tmp_path)
    (tmp_path / "conf" / "search").mkdir()
    (tmp_path / "conf" / "search" / "wait.yaml").write_text(
        "seconds: {kind: float, low: 500.0, high: 600.0}\n"
    )
    (tmp_path / "conf" / "method" / "wait.yaml").write_text(
        "name: wait\ngraph_at_unlearning: retain\ngraph_at_evaluation: retain\nseconds: 600.0\n"
    )
    process = start(tmp_path, *plugins, "method=wait", "budget=2", module="bench.tune")
    deadline = time.monotonic() + 120
    while not (tmp_path / "waiting").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, output
    assert "finished trials are kept" in output
    assert {status for _, status in statuses(tmp_path, "tune")} == {"KILLED"}

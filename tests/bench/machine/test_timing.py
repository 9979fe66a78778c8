"""What is charged to a method, and what is not."""

from __future__ import annotations

import time

import pytest
import torch

from bench.cell.recorder import TrajectoryRecorder
from bench.machine.timing import Stopwatch

NAP = 0.05


def test_counts_only_while_running() -> None:
    watch = Stopwatch(torch.device("cpu"))
    with watch.running():
        time.sleep(NAP)
        with watch.paused():
            time.sleep(4 * NAP)
    time.sleep(4 * NAP)
    assert NAP <= watch.seconds < 3 * NAP


def test_pausing_a_stopped_watch_does_not_start_it() -> None:
    watch = Stopwatch(torch.device("cpu"))
    with watch.paused():
        pass
    time.sleep(NAP)
    assert watch.seconds == 0.0


def test_evaluation_along_the_way_is_not_charged() -> None:
    watch = Stopwatch(torch.device("cpu"))

    def slow_probe(model: object) -> dict[str, float]:
        time.sleep(4 * NAP)
        return {"valid/recall_at_20": 0.5}

    recorder = TrajectoryRecorder(watch, slow_probe)
    with watch.running():
        recorder.epoch(None, {"gate_l1": 1.0})  # type: ignore[arg-type]
    assert watch.seconds < NAP
    assert recorder.points == [
        {"epoch": 1, "seconds": pytest.approx(0, abs=NAP), "valid/recall_at_20": 0.5, "gate_l1": 1.0}
    ]

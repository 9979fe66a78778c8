"""What is charged to a method, and what is not."""

from __future__ import annotations

import pytest
import torch

from bench.cell.recorder import TrajectoryRecorder
from bench.machine.timing import Stopwatch
from models.graph import Propagation, normalised_adjacency
from tests.bench.machine.clocks import Time, stop_time

CPU = torch.device("cpu")


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return stop_time(monkeypatch)


def propagate(times: int) -> None:
    step, operator = Propagation(), normalised_adjacency(torch.tensor([[0, 1], [1, 0]]), 2, 2)
    for _ in range(times):
        step(torch.ones(4, 3), operator)
        torch.nn.Linear(3, 3)(torch.ones(4, 3))


def test_counts_only_while_running(time: Time) -> None:
    watch = Stopwatch(CPU)
    with watch.running():
        time.pass_by(1.0)
        propagate(2)
        with watch.paused():
            time.pass_by(10.0)
            propagate(3)
        time.pass_by(2.0)
        assert watch.seconds == 3.0
    time.pass_by(10.0)
    propagate(4)
    assert (watch.seconds, watch.propagations) == (3.0, 2)


def test_pausing_a_stopped_watch_does_not_start_it(time: Time) -> None:
    watch = Stopwatch(CPU)
    with watch.paused():
        pass
    time.pass_by(1.0)
    assert watch.seconds == 0.0


def test_evaluation_along_the_way_is_not_charged(time: Time) -> None:
    watch = Stopwatch(CPU)

    def slow_probe(model: object) -> dict[str, float]:
        time.pass_by(5.0)
        propagate(1)
        return {"valid/recall_at_20": 0.5}

    recorder = TrajectoryRecorder(watch, slow_probe)
    with watch.running():
        time.pass_by(1.0)
        recorder.epoch(None, {"gate_l1": 1.0})  # type: ignore[arg-type]
    assert (watch.seconds, watch.propagations) == (1.0, 0)
    assert recorder.points == [{"epoch": 1, "seconds": 1.0, "valid/recall_at_20": 0.5, "gate_l1": 1.0}]


def test_the_processor_share_is_that_of_all_threads(time: Time) -> None:
    watch = Stopwatch(CPU)
    assert watch.processor_share is None
    torch.set_num_threads(2)
    with watch.running():
        time.pass_by(wall=10.0, processor=16.0)
    time.pass_by(wall=10.0, processor=0.0)
    assert watch.processor_share == 0.8


def test_recorded_seconds_come_with_their_own_share_or_none(time: Time) -> None:
    watch = Stopwatch(CPU)
    watch.add(1000.0)
    assert (watch.seconds, watch.processor_share) == (1000.0, None)
    with watch.running():
        time.pass_by(wall=10.0, processor=10.0)
    assert watch.processor_share == 1.0, "seconds of unknown share say nothing"
    watch.add(30.0, share=0.2, propagations=7)
    assert watch.processor_share == pytest.approx(0.4)
    assert (watch.seconds, watch.propagations) == (1040.0, 7)


@pytest.mark.parametrize("running", [True, False])
def test_propagations_are_unknown_where_a_part_of_them_is(running: bool) -> None:
    watch = Stopwatch(CPU)
    with watch.running():
        propagate(2)
        if running:
            watch.add(1.0, propagations=None)
    if not running:
        watch.add(1.0, propagations=None)
    propagate(1)
    watch.add(1.0, propagations=5)
    assert watch.propagations is None
    assert not torch.nn.modules.module._global_forward_hooks, "a hook was left behind"


def test_counting_can_be_left_to_nobody() -> None:
    watch = Stopwatch(CPU, counting=False)
    with watch.running():
        propagate(1)
    assert watch.propagations is None

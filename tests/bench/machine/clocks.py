"""A time that stands still unless a test moves it, in place of that of every clock."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass
class Time:
    """Wall-clock and processor seconds, as the module ``time`` gives them."""

    wall: float = 0.0
    processor: float = 0.0

    def perf_counter(self) -> float:
        return self.wall

    def process_time(self) -> float:
        return self.processor

    def pass_by(self, wall: float, processor: float = 0.0) -> None:
        """Let so many seconds pass."""
        self.wall += wall
        self.processor += processor


def stop_time(patch: pytest.MonkeyPatch) -> Time:
    """Put such a time under every ``Stopwatch``."""
    time = Time()
    patch.setattr("bench.machine.timing.time", time)
    return time

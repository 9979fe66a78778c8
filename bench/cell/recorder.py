"""What a method reports while it runs: its curves over seconds, and its device-free cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.machine.timing import Stopwatch
from models.base import Recommender
from unlearning.base import Recorder

Probe = Callable[[Recommender], dict[str, float]]


class TrajectoryRecorder(Recorder):
    """Evaluates each epoch off the clock and keeps one point per epoch.

    ``points`` holds dictionaries with ``epoch``, ``seconds`` (method time so far), the probe's
    figures and the method's own values.
    """

    def __init__(self, watch: Stopwatch, probe: Probe | None) -> None:
        self._watch = watch
        self._probe = probe
        self.points: list[dict[str, float]] = []
        self.num_examples = self.num_steps = 0

    def epoch(self, model: Recommender, values: dict[str, float] | None = None) -> None:
        """Store one point; see ``Recorder``."""
        with self._watch.paused():
            measured = self._probe(model) if self._probe else {}
            point: dict[str, Any] = {"epoch": len(self.points) + 1, "seconds": self._watch.seconds}
            self.points.append({**point, **measured, **(values or {})})

    def examples(self, count: int, steps: int = 1) -> None:
        """Count ``count`` training examples of ``steps`` gradient steps."""
        self.num_examples += count
        self.num_steps += steps

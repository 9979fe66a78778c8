"""The clock of every time that is reported.

It synchronises the device at each reading and can be paused: evaluation, tracking and I/O never run
on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from bench.machine.devices import synchronise


class Stopwatch:
    """Accumulates wall-clock seconds while running."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._total = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds counted so far."""
        running = 0.0 if self._since is None else self._now() - self._since
        return self._total + running

    def start(self) -> None:
        """Start or go on counting."""
        if self._since is None:
            self._since = self._now()

    def stop(self) -> None:
        """Stop counting; ``start`` goes on."""
        if self._since is not None:
            self._total += self._now() - self._since
            self._since = None

    def add(self, seconds: float) -> None:
        """Count seconds that another clock measured, such as the recorded time of a cached training."""
        self._total += seconds

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time spent inside."""
        self.start()
        try:
            yield
        finally:
            self.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time spent inside; goes on afterwards if it was counting before."""
        was_running = self._since is not None
        self.stop()
        try:
            yield
        finally:
            if was_running:
                self.start()

    def _now(self) -> float:
        synchronise(self._device)
        return time.perf_counter()

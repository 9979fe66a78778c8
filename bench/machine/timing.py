"""The clock of every cost that is reported: wall-clock, processor seconds, graph propagations.

It synchronises the device at each reading and can be paused: evaluation, tracking and I/O never run
on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.hooks import RemovableHandle

from bench.machine.devices import synchronise
from models.graph import Propagation


class Stopwatch:
    """Accumulates what happens while it runs.

    A propagation is one product of a graph operator with node vectors in ``models.graph``, forward; whoever
    asks for it counts: training, statistics, probes. Where the loss is compiled it cannot be counted.

    Args:
        device: whose work is timed.
        counting: whether propagations are counted.
    """

    def __init__(self, device: torch.device, counting: bool = True) -> None:
        self._device = device
        self._seconds = self._shared_seconds = self._processor = 0.0
        self._propagations: int | None = 0 if counting else None
        self._since: tuple[float, float] | None = None
        self._hook: RemovableHandle | None = None

    @property
    def seconds(self) -> float:
        """Wall-clock seconds counted so far."""
        return self._seconds + self._running()[0]

    @property
    def propagations(self) -> int | None:
        """Graph propagations counted so far; None where some could not be counted."""
        return self._propagations

    @property
    def processor_share(self) -> float | None:
        """Processor seconds of this process / (wall-clock seconds x threads), over what has such a figure.

        None where nothing has, and on an accelerator, for which the processor only waits.
        """
        wall, processor = self._running()
        wall, processor = wall + self._shared_seconds, processor + self._processor
        if self._device.type != "cpu" or wall == 0:
            return None
        return processor / (wall * torch.get_num_threads())

    def start(self) -> None:
        """Start or go on counting."""
        if self._since is None:
            if self._propagations is not None:
                self._hook = register_module_forward_hook(self._count)
            self._since = self._now()

    def stop(self) -> None:
        """Stop counting; ``start`` goes on."""
        if self._since is not None:
            wall, processor = self._running()
            self._seconds += wall
            self._shared_seconds += wall
            self._processor += processor
            self._since = None
            if self._hook is not None:
                self._hook.remove()

    def add(self, seconds: float, share: float | None = None, propagations: int | None = 0) -> None:
        """Count what another clock measured, such as the recorded training of a cached model.

        Args:
            seconds: wall-clock.
            share: its processor share; None where it is not known, which leaves the seconds out of the share.
            propagations: None where they are not known.
        """
        self._seconds += seconds
        if share is not None:
            self._shared_seconds += seconds
            self._processor += share * seconds * torch.get_num_threads()
        known = None not in (self._propagations, propagations)
        self._propagations = (self._propagations or 0) + (propagations or 0) if known else None

    def counted(self) -> dict[str, float | None]:
        """Everything counted so far, for ``take``; the watch stands still meanwhile."""
        return {
            "seconds": self._seconds,
            "shared_seconds": self._shared_seconds,
            "processor": self._processor,
            "propagations": self._propagations,
        }

    def take(self, seconds: float, shared_seconds: float, processor: float, propagations: int | None) -> None:
        """Go on from what another watch had counted, in place of what this one has."""
        self._seconds, self._shared_seconds, self._processor = seconds, shared_seconds, processor
        self._propagations = propagations

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what happens inside."""
        self.start()
        try:
            yield
        finally:
            self.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count what happens inside; goes on afterwards if it was counting before."""
        was_running = self._since is not None
        self.stop()
        try:
            yield
        finally:
            if was_running:
                self.start()

    def _count(self, module: nn.Module, arguments: Any, output: Any) -> None:
        if self._propagations is not None and isinstance(module, Propagation):
            self._propagations += 1

    def _running(self) -> tuple[float, float]:
        """Wall-clock and processor seconds since the last start; none while it stands still."""
        if self._since is None:
            return 0.0, 0.0
        wall, processor = self._now()
        return wall - self._since[0], processor - self._since[1]

    def _now(self) -> tuple[float, float]:
        synchronise(self._device)
        return time.perf_counter(), time.process_time()

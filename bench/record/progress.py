"""Progress of a cell: what it is doing, told to whoever watches.

Each process writes the state of its cell into one small file under ``<cache>/progress``; the view of
the sweep (``bench/sweep/watch.py``) reads them, whatever launcher started the processes. Where nobody
watches, a log line now and then says the same.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.record.owner import owner_tags

log = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 30.0
WRITE_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class State:
    """What a process is doing; ``updated`` and ``started`` (of the phase) are seconds since 1970."""

    label: str
    phase: str = "starting"
    epoch: int = 0
    max_epochs: int = 0
    recall: float | None = None
    started: float = 0.0
    updated: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """Until the last epoch at the pace so far; early stopping may come before."""
        if not self.epoch:
            return None
        return (self.updated - self.started) / self.epoch * (self.max_epochs - self.epoch)


class Reporter:
    """Writes the state of one cell in ``folder``."""

    def __init__(self, label: str, folder: Path) -> None:
        self._state = State(label)
        self._file = folder / f"{socket.gethostname()}-{os.getpid()}.json"
        self._written = 0.0

    def update(self, **changes: object) -> None:
        """Change the state; a new phase is written at once, epochs at most twice a second."""
        now = time.time()
        if "phase" in changes:
            changes = {"epoch": 0, "recall": None, "started": now, **changes}
            self._written = 0.0
        self._state = replace(self._state, updated=now, **changes)  # type: ignore[arg-type]
        if now - self._written >= WRITE_EVERY_SECONDS:
            self._written = now
            content = json.dumps({"state": asdict(self._state), **owner_tags()})
            with suppress(OSError):  # a full disk must not stop a cell for the sake of its display
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._file.write_text(content, encoding="utf-8")

    def close(self) -> None:
        """Withdraw the state."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)


_current: ContextVar[Reporter | None] = ContextVar("reporter", default=None)


@contextmanager
def reporting(label: str, folder: Path) -> Iterator[None]:
    """Write the progress of the cell that runs inside the block."""
    reporter = Reporter(label, folder)
    token = _current.set(reporter)
    try:
        yield
    finally:
        _current.reset(token)
        reporter.close()


def phase(name: str) -> None:
    """Say what the cell does from now on."""
    reporter = _current.get()
    if reporter is not None:
        reporter.update(phase=name)


class Progress:
    """Receives the epochs of one training run under a title."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._last_log = time.monotonic()

    def epoch(self, epoch: int, max_epochs: int, loss: float, recall: float) -> None:
        """Tell of one evaluated epoch."""
        reporter = _current.get()
        if reporter is not None:
            reporter.update(epoch=epoch, max_epochs=max_epochs, recall=recall)
        if time.monotonic() - self._last_log > LOG_EVERY_SECONDS:
            self._last_log = time.monotonic()
            status = f"epoch {epoch}  loss {loss:.4f}  valid recall@20 {recall:.4f}"
            log.info("%s: %s", self._title, status)


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """The progress of one training run."""
    phase(title)
    yield Progress(title)

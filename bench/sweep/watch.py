"""The view of a running sweep: one line per running cell and the total; plain lines without a terminal."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bench.disk.files import read_json
from bench.machine.background import alongside
from bench.record.progress import State

log = logging.getLogger(__name__)

STALE_SECONDS = 15 * 60.0
REFRESH_SECONDS = 1.0
LOG_EVERY_SECONDS = 30.0


@contextmanager
def watching(folder: Path, total: int, done: Callable[[], int], console: Console) -> Iterator[None]:
    """Show the sweep for the time of the block.

    Args:
        folder: where the cells' processes report (``bench/record/progress.py``).
        total: number of cells that are due.
        done: how many of them are finished by now.
    """
    started, show = time.time(), _live if console.is_terminal else _lines
    with alongside(lambda stop: show(stop, folder, total, done, started, console)):
        yield


def states(folder: Path, since: float = 0.0) -> list[State]:
    """What the running processes last said, by label; silent ones are left out."""
    now = time.time()
    found = [read_json(file) for file in sorted(folder.glob("*.json"))]
    known = [State(**content["state"]) for content in found if content is not None]
    return sorted(
        (s for s in known if s.updated >= since and now - s.updated < STALE_SECONDS), key=lambda s: s.label
    )


def render(running: list[State], finished: int, total: int, seconds: float) -> Group:
    """One line per running cell, then the total."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for state in running:
        epoch = f"epoch {state.epoch}/{state.max_epochs}" if state.epoch else ""
        recall = "" if state.recall is None else f"recall@20 {state.recall:.4f}"
        left = "" if state.seconds_left is None else f"{_clock(state.seconds_left)} left"
        table.add_row(state.label, state.phase, epoch, recall, left)
    return Group(table, Text(summary(finished, total, seconds)))


def summary(finished: int, total: int, seconds: float) -> str:
    """The total of the sweep in one line."""
    left = f", about {_clock(seconds / finished * (total - finished))} left" if 0 < finished < total else ""
    return f"{finished} of {total} cells finished in {_clock(seconds)}{left}"


def _live(
    stop: threading.Event, folder: Path, total: int, done: Callable[[], int], started: float, console: Console
) -> None:
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while not stop.wait(REFRESH_SECONDS):
            live.update(render(states(folder, started), done(), total, time.time() - started), refresh=True)


def _lines(
    stop: threading.Event, folder: Path, total: int, done: Callable[[], int], started: float, console: Console
) -> None:
    said = -1
    while not stop.wait(LOG_EVERY_SECONDS):
        finished = done()
        if finished != said:
            said = finished
            console.print(summary(finished, total, time.time() - started), highlight=False)


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))

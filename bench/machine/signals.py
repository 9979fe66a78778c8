"""SIGTERM and SIGHUP end a command as Ctrl-C does: what runs is recorded as killed, and no child is left.

A preempted job, a stopped container and a closed terminal send these to the command alone, whereas Ctrl-C
reaches its children as well; so the children are interrupted here, and ended after a grace period.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

STOPPING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP
GRACE_SECONDS = 4.0
"""Between interrupting the children and ending them."""


class Stopped(KeyboardInterrupt):
    """The command was asked to stop by a signal; treated as Ctrl-C, but for the exit code."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """128 + the number of the signal, as a shell reports it; 130 for Ctrl-C."""
    return 128 + (interrupt.number if isinstance(interrupt, Stopped) else int(signal.SIGINT))


@contextmanager
def stopping(interrupt: bool = True) -> Iterator[None]:
    """Inside, the first SIGTERM or SIGHUP raises ``Stopped`` in the main thread and stops the children.

    A signal that the process was told to ignore (``nohup``) stays ignored. Does nothing outside the main
    thread, where Python allows no handlers.

    Args:
        interrupt: whether children are interrupted first; a launcher that cancels its own workers does not
            want that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOPPING}

    def stop(number: int, frame: FrameType | None) -> None:
        for every in STOPPING:
            signal.signal(every, signal.SIG_IGN)  # once is enough
        stop_children(interrupt)
        raise Stopped(number)

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def stop_children(interrupt: bool = True) -> None:
    """Interrupt every descendant of this process, and end those that are left after ``GRACE_SECONDS``."""
    children = psutil.Process().children(recursive=True)
    if interrupt:
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.send_signal(signal.SIGINT)
    threading.Thread(target=_end, args=(children,), daemon=True).start()


def _end(children: list[psutil.Process]) -> None:
    time.sleep(GRACE_SECONDS)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()


def interrupt_self() -> None:
    """What Ctrl-C would do to this process, and its end after ``GRACE_SECONDS`` if that was not enough."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    os._exit(128 + int(signal.SIGKILL))

"""Something that goes on beside a block of code, for as long as the block takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def alongside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run ``work`` in a thread; the end of the block sets the event that it watches, and waits for it."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()

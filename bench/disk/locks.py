"""Locks between processes: files that the kernel frees when their holder dies.

The file is removed while it is held, so that none is left over; ``filelock`` notices that and makes
those who wait for it take the next one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)

FIRST_WAIT = 1.0


def lock_file(cache: Path, name: str) -> Path:
    """The file of a lock that concerns a cache."""
    return cache / "locks" / f"{name}.lock"


@contextmanager
def held(path: Path, waiting_for: str) -> Iterator[None]:
    """Hold a lock for the time of the block; says so once if another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=FIRST_WAIT)
    except Timeout:
        log.info("another process is busy with %s: waiting for it", waiting_for)
        lock.acquire()
    with _let_go(path, lock):
        yield


@contextmanager
def held_if_free(path: Path) -> Iterator[bool]:
    """Hold a lock for the time of the block if nobody else does; yields whether it is held."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    with _let_go(path, lock):
        yield True


def remove_free(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    """Remove the locks of dead processes in a folder, where they are named by ``pattern``."""
    removed = []
    for path in sorted(path for path in folder.glob("*") if pattern.fullmatch(path.name)):
        with held_if_free(path) as free:
            removed += [path] if free else []
    return removed


@contextmanager
def _let_go(path: Path, lock: FileLock) -> Iterator[None]:
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()

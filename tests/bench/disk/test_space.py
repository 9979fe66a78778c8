"""A disk that is full is told apart from a fault of the cell, whoever says so."""

from __future__ import annotations

import errno
import os

import pytest
from safetensors import SafetensorError

from bench.disk.space import is_disk_full

FULL = (
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    OSError(errno.EDQUOT, "quota"),
    RuntimeError("(sqlite3.OperationalError) database or disk is full"),
    SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
)


@pytest.mark.parametrize("error", FULL, ids=repr)
def test_every_way_of_saying_it(error: Exception) -> None:
    assert is_disk_full(error)
    later = ValueError("later")
    later.__cause__ = error
    assert is_disk_full(later)


def test_other_errors_do_not_say_it() -> None:
    assert not is_disk_full(SafetensorError("invalid header"))
    assert not is_disk_full(PermissionError(errno.EACCES, "no"))

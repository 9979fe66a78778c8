"""Running out of disk space: noticed early, and told apart from a fault of the cell."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

RESERVE_BYTES = 16 << 20
"""A cell is not started with less than this free: it could not be recorded."""


def require_space(folder: Path) -> None:
    """Raise ``OSError`` (no space) if the disk of ``folder`` is as good as full."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < RESERVE_BYTES:
        raise OSError(errno.ENOSPC, f"only {free >> 20} MB are left on the disk", str(folder))


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an exception, or what caused it, says that a disk is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        # SQLite's words through SQLAlchemy and MLflow, and the system's through safetensors and others.
        if any(words in str(error) for words in ("database or disk is full", os.strerror(errno.ENOSPC))):
            return True
        error = error.__cause__ or error.__context__
    return False

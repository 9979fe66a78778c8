"""What a data set of so many users and items needs at least, asked before anything of that size is made."""

from __future__ import annotations

import psutil

from datasets.errors import InputError

BYTES_PER_ID = 64 * 4 * 4
"""An embedding of 64 float32 with its gradient and Adam's two moments: the least that training holds per
id.
"""


def check_size(num_users: int, num_items: int, where: str) -> None:
    """Raise ``InputError`` where the embeddings alone would not fit the memory of this machine.

    Args:
        where: names the data set or its file in the sentence.
    """
    needed, there = (num_users + num_items) * BYTES_PER_ID, psutil.virtual_memory().total
    if needed > there:
        raise InputError(
            f"{where} has ids up to user {num_users - 1} and item {num_items - 1}: their embeddings "
            "alone need "
            f"{in_bytes(needed)} and this machine has {in_bytes(there)}: number users and items "
            "densely from 0."
        )


def in_bytes(count: int) -> str:
    """``4.1 GB``, in the largest unit below which it stays over one."""
    size, units = float(count), ("B", "kB", "MB", "GB", "TB", "PB", "EB")
    for unit in units[:-1]:
        if size < 1000:
            return f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} {units[-1]}"

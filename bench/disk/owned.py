"""A folder that is Lethe's own, marked as such: what is not marked is never tidied up.

The mark is a cache directory tag (bford.info/cachedir), which backup programs know as well. A folder that
was there before, with other things in it, gets none: it can be used, and nothing in it is removed.
"""

from __future__ import annotations

import re
from pathlib import Path

from bench.disk.files import write_text
from datasets.errors import InputError

MARK = "CACHEDIR.TAG"
SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55"
TEXT = f"{SIGNATURE}\n# This folder is a cache of Lethe (python -m bench). Everything in it can be deleted.\n"
FOLDERS = {
    *("models", "item_graphs", "prepared", "data", "locks", "progress", "training"),
    *("streams", "same", "kept"),
}
"""What Lethe makes in a cache."""
ENTRY = re.compile(r"\.?[0-9a-f]{24}(\..*)?")
"""Entries in the folders of ``models``, ``item_graphs`` and ``prepared``, half-written ones among them."""


def claim(folder: Path, key: str) -> None:
    """Make a folder and mark it, where it is new, empty, or holds nothing but what Lethe makes.

    Raises:
        InputError: where it is no folder or cannot be made or written; ``key`` is the option that names it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not is_claimed(folder) and _is_ours(folder):
            write_text(folder / MARK, TEXT)
    except OSError as error:
        raise InputError(
            f"{key}={folder} cannot be used as a folder ({error.strerror or error}): name one that "
            "can be made and "
            "written."
        ) from error


def is_claimed(folder: Path) -> bool:
    """Whether a folder has the mark."""
    try:
        return (folder / MARK).read_text(encoding="utf-8").startswith(SIGNATURE)
    except (OSError, UnicodeDecodeError):
        return False


def _is_ours(folder: Path) -> bool:
    every = list(folder.iterdir())
    inside = [path for kind in ("models", "item_graphs", "prepared") for path in (folder / kind).glob("*")]
    return all(path.name in FOLDERS for path in every) and all(ENTRY.fullmatch(path.name) for path in inside)

"""The one exception for input that a user can correct, and the words that such sentences share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]


class InputError(Exception):
    """Bad input: one sentence that names the key, the value and the remedy.

    Raised before any training starts; the command line prints the sentence and exits with code 2.
    """


def in_short(text: object, most: int = 300) -> str:
    """What a library said, or a value from a file, in one line of at most ``most`` characters."""
    line = " ".join(str(text).split())
    if not line and isinstance(text, Exception):
        return type(text).__name__
    return line if len(line) <= most else f"{line[: most // 2]} ... {line[-most // 2 :]}"


def shown(file: Path) -> Path:
    """A path as short as it can be: the same message from every checkout."""
    return file.relative_to(_CHECKOUT) if file.is_relative_to(_CHECKOUT) else file


def place(file: Path, line: int | None) -> str:
    """Where a mistake is: ``unlearning/tru.py, line 12``."""
    return f"{shown(file)}, line {line}" if line else str(shown(file))


def choices(wrong: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known one, and all of them."""
    every = sorted(known)
    near = difflib.get_close_matches(wrong, every, n=1)
    listed = ", ".join(every) or "none"
    return f"did you mean {near[0]}? Known are {listed}." if near else f"choose one of {listed}."

"""What a value may be whatever its option: finite, of at most 64 bits, of a length that can be recorded."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from datasets.errors import InputError, in_short

NAME = re.compile(r"(?=.*[a-z0-9])[a-z0-9_+.-]{1,64}")
"""Of data sets, backbones, methods and other choices: they become folders, labels and words of a filter."""
MOST_CHARACTERS = 4096
"""Of a text: MLflow keeps 6,000 of a parameter, and file names are shorter still."""
LARGEST = 2**63


def check_name(key: str, name: str) -> None:
    """Raise ``InputError`` where ``name`` is no name; ``key`` is the option that gave it."""
    if not NAME.fullmatch(name):
        raise InputError(
            f"{key}={in_short(repr(name), 120)} is not a name: use 1 to 64 of the characters a to z, 0 to 9, "
            "_ + . and -, a letter or digit among them."
        )


def check_value(key: str, value: Any) -> None:
    """Raise ``InputError`` where a value, or one inside it, is of a size that nothing can hold."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            check_value(f"{key}.{name}", inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            check_value(key, inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{key}={value} is not valid: give a finite number.")
    elif isinstance(value, int) and not -LARGEST <= value < LARGEST:
        raise InputError(
            f"{key}={in_short(_digits(value))} is not valid: give an integer of at most 64 bits."
        )
    elif isinstance(value, str) and len(value) > MOST_CHARACTERS:
        raise InputError(
            f"{key}={in_short(value)} is not valid: it has {len(value)} characters, and "
            f"{MOST_CHARACTERS} are "
            "the most."
        )
    elif isinstance(value, str) and "\0" in value:
        raise InputError(f"{key}={in_short(repr(value))} is not valid: it holds a NUL character.")


def _digits(value: int) -> str:
    """An integer as text, whatever its length: Python refuses to write very long ones."""
    return str(value) if abs(value) < 10**1000 else f"an integer of {value.bit_length()} bits"

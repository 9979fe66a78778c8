"""Hydra's grammar of overrides: one override parsed, and the product that swept ones stand for."""

from __future__ import annotations

import itertools
import math
import re
import shlex
from collections.abc import Sequence
from functools import cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException

from datasets.errors import InputError, in_short

MOST_CELLS = 100_000
"""Of one sweep: what is larger is a slip, and composing it would take hours."""


@cache
def parsed(override: str) -> Override:
    """One override. Parsing is slow, and the cells of a sweep share most of theirs. Raises ``InputError``."""
    return parsed_all((override,))[0]


def parsed_all(overrides: Sequence[str]) -> list[Override]:
    """Overrides in their order. Raises ``InputError`` for the first that is none."""
    try:
        found = list(OverridesParser.create().parse_overrides(list(overrides)))
    except OverrideParseException as error:
        raise InputError(
            f"{in_short(error.override)} cannot be read as an override: write key=value."
        ) from error
    except (HydraException, RecursionError, ValueError) as error:
        raise InputError(
            f"the overrides cannot be read ({in_short(error)}): write each as key=value."
        ) from error
    for one in found:
        if not one.key_or_group:
            raise InputError(f"{in_short(one.input_line)} names no key: write key=value.")
    return found


def lines(text: str) -> list[list[str]]:
    """The words of each line (or part between ``;``) as a shell reads them, without comments."""
    return [words for line in re.split(r"[\n;]", text) if (words := shlex.split(line, comments=True))]


def product(from_config: Sequence[str], overrides: Sequence[str]) -> list[list[str]]:
    """The cells of one product; the sweep parameters of an experiment come first, as in Hydra's own sweeper.

    What the command line says of a key replaces what the experiment sweeps it over.
    """
    given = {parsed(text).key_or_group for text in overrides}
    kept = [text for text in from_config if parsed(text).key_or_group not in given]
    written: dict[str, list[str]] = {}
    for override in parsed_all([*kept, *overrides]):
        key = override.get_key_element()
        written[key] = [f"{key}={value}" for value in _values(override)]
    cells = math.prod(len(values) for values in written.values())
    if cells > MOST_CELLS:
        raise InputError(
            f"the sweep has more cells than {MOST_CELLS:,}, which is the most: name fewer values."
        )
    return [list(cell) for cell in itertools.product(*written.values())]


def _values(override: Override) -> list[str]:
    """The values that an override stands for, as they are written on a command line. Raises
    ``InputError``.
    """
    if not override.is_sweep_override():
        return [override.get_value_element_as_str()]
    shown = in_short(override.input_line)
    if not override.is_discrete_sweep():
        raise InputError(f"{shown} names no single values: list them, or use range(...).")
    try:
        found = list(itertools.islice(override.sweep_string_iterator(), MOST_CELLS + 1))
    except (HydraException, ValueError, TypeError, NotImplementedError) as error:
        raise InputError(f"{shown} names no single values ({in_short(error)}): list them.") from error
    if not found:
        raise InputError(f"{shown} names no value: name at least one.")
    return found

"""How many of those that occur in training a drawn request takes."""

from __future__ import annotations

from datasets.errors import InputError
from datasets.request_options import RequestOptions


def listed_number(options: RequestOptions, listed: int, there: int) -> int:
    """How many a request file names, of those ``there`` are in training. Raises ``InputError`` for all of
    them.
    """
    if listed >= there:
        raise InputError(
            f"regime.file={options.file} lists {listed} and training has {there} ({options.name} regime): "
            "nothing would be left to train on, so list fewer."
        )
    return listed


def number(options: RequestOptions, eligible: int, group: str = "regime") -> int:
    """How many of the ``eligible`` users, items or pairs a drawn request takes (nearest to the ratio).

    Args:
        group: of the configuration that has the options, for errors.

    Raises:
        InputError: if that is none or all of them, or neither ``count`` nor ``ratio`` is set.
    """
    if options.count is not None:
        wanted, asked = options.count, f"{group}.count={options.count}"
    elif options.ratio is not None:
        wanted, asked = round(options.ratio * eligible), f"{group}.ratio={options.ratio}"
    else:
        raise InputError(f"{group}.ratio and {group}.count are both null: set one of them, or {group}.file.")
    if wanted == 0:
        raise InputError(f"{asked} of {eligible} ({options.name} regime) selects nothing: ask for more.")
    if wanted >= eligible:
        raise InputError(
            f"{asked} covers all {eligible} that occur in training ({options.name} regime): ask for fewer."
        )
    return wanted

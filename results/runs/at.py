"""Where a value of a row is from: a deletion request and a training seed. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

Key = TypeVar("Key")
REQUEST_PARAM = "regime.seed"
"""Which deletion request a cell faced. A dimension of every result, like the training seed."""
STREAM_PARAM = "stream.seed"
"""The same of a cell that serves a stream; where it is not stated it follows the other."""
REQUEST_PARAMS = (REQUEST_PARAM, STREAM_PARAM)


class At(NamedTuple):
    """The seed of the deletion request, and the training seed."""

    request: int
    seed: int


def coverage(ats: Iterable[At]) -> str:
    """``2 requests x 2 seeds``; how many cells there are where some of the product are missing."""
    every = set(ats)
    requests, seeds = len({at.request for at in every}), len({at.seed for at in every})
    text = f"{counted(requests, 'request')} x {counted(seeds, 'seed')}"
    return text if len(every) == requests * seeds else f"{len(every)} of {text}"


def counted(number: int, word: str) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def shared(ats: Mapping[Key, Iterable[At]]) -> tuple[list[Key], list[At]]:
    """The rows that are compared, and the requests and seeds that all of them have.

    Rows with few cells would leave little for the others to be compared on: those with the fewest are left
    out as far as that gains more cells of comparison than it loses rows.
    """
    every = {key: set(own) for key, own in ats.items()}
    order = sorted((key for key, own in every.items() if own), key=lambda key: -len(every[key]))
    best: tuple[list[Key], set[At]] = ([], set())
    for count in range(1, len(order) + 1):
        common = set.intersection(*(every[key] for key in order[:count]))
        if common and (count - 1) * len(common) >= (len(best[0]) - 1) * len(best[1]):
            best = order[:count], common
    return best[0], sorted(best[1])

"""A data set's own ids (texts such as an ASIN) and the dense ids that models use.

The files are those of MMRec's preprocessing, beside the interactions: ``u_id_mapping.csv`` and
``i_id_mapping.csv``, tab-separated with a header, own id first and ``userID`` or ``itemID`` second.
Whoever takes ids from people (deletion requests, streams) looks them up here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datasets.errors import InputError, in_short

Kind = Literal["user", "item"]

FILES: dict[Kind, str] = {"user": "u_id_mapping.csv", "item": "i_id_mapping.csv"}
MOST_DIGITS = 18
"""Of an id that is a number, so that it is an integer of 64 bits."""
DENSE_COLUMNS: dict[Kind, str] = {"user": "userID", "item": "itemID"}


class IdMap:
    """The own ids of all users, or of all items; they are loaded when the map is first asked."""

    def __init__(self, kind: Kind, load: Callable[[], Sequence[str]]) -> None:
        """``load`` gives the own ids in the order of the dense ones."""
        self.kind = kind
        self._load = load

    @classmethod
    def of_file(cls, kind: Kind, path: Path) -> IdMap:
        """The map in a file."""
        return cls(kind, lambda: _read(path, kind))

    @cached_property
    def own(self) -> tuple[str, ...]:
        """Own ids, position = dense id. Raises ``InputError`` where their file is damaged."""
        return tuple(self._load())

    @cached_property
    def _dense(self) -> dict[str, int]:
        return {own: dense for dense, own in enumerate(self.own)}

    def dense(self, own: Iterable[str], where: str) -> NDArray[np.int64]:
        """The dense id of each own id, int64.

        Raises:
            InputError: for an id that the data set does not have; ``where`` says who asked.
        """
        try:
            return np.fromiter((self._dense[one] for one in own), dtype=np.int64)
        except KeyError as error:
            raise InputError(
                f"{where} names the {self.kind} {error.args[0]!r}, whom this data set does not have (never "
                "there, or filtered out when it was prepared): remove the entry."
            ) from error


@dataclass(frozen=True)
class IdMaps:
    """Both maps of a data set."""

    user: IdMap
    item: IdMap

    def of(self, kind: Kind) -> IdMap:
        """The map of users or of items."""
        return self.user if kind == "user" else self.item


def maps_of(folder: Path) -> IdMaps | None:
    """The maps beside the interactions in ``folder``; None where either file is missing."""
    if not all((folder / name).is_file() for name in FILES.values()):
        return None
    return IdMaps(*(IdMap.of_file(kind, folder / name) for kind, name in FILES.items()))


def dense_ids(kind: Kind, cells: Sequence[str], maps: IdMaps | None, where: str) -> NDArray[np.int64]:
    """Dense ids of the data set's own ids; a data set without maps knows users and items by number only.

    Raises:
        InputError: for an unknown id, or for one that is no number where there are no maps.
    """
    if maps is not None:
        return maps.of(kind).dense(cells, where)
    for cell in cells:
        if not cell.removeprefix("-").isdecimal() or len(cell) > MOST_DIGITS:
            raise InputError(
                f"{where} has {in_short(repr(cell))} where an integer id is needed, because this data "
                "set has no files "
                f"{FILES['user']} and {FILES['item']}: correct the entry, or add the files."
            )
    return np.array([int(cell) for cell in cells], dtype=np.int64)


def _read(path: Path, kind: Kind) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error}): save it again as UTF-8.") from error
    lines = [line.removesuffix("\r") for line in lines]
    if lines and not lines[-1]:
        lines.pop()
    header = lines[0].split("\t") if lines else []
    if len(header) != 2 or header[1] != DENSE_COLUMNS[kind]:
        raise InputError(
            f"{path} must have two columns, tab-separated, the own id first and {DENSE_COLUMNS[kind]} second."
        )
    own: list[str | None] = [None] * (len(lines) - 1)
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split("\t")
        readable = len(cells) == 2 and cells[1].isdecimal() and len(cells[1]) <= MOST_DIGITS
        dense = int(cells[1]) if readable else -1
        if not 0 <= dense < len(own) or own[dense] is not None:
            raise InputError(
                f"{path}, line {number} is {in_short(repr(line))}: write an own id, a tab and each "
                "number from 0 to "
                f"{len(own) - 1} once."
            )
        own[dense] = cells[0]
    found = tuple(one for one in own if one is not None)
    if len(set(found)) < len(found):
        repeated, _ = Counter(found).most_common(1)[0]
        raise InputError(f"{path} has the own id {repeated!r} twice: each {kind} has one dense id.")
    return found

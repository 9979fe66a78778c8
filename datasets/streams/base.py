"""The contract of a stream: an ordered list of deletion requests that compose.

Request k is cut from what the requests before it left: applied one after the other they leave the same data
as their union. No torch at import.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from datasets.errors import InputError
from datasets.streams.options import StreamOptions

if TYPE_CHECKING:
    from torch import Tensor

    from datasets.id_maps import IdMaps
    from datasets.interactions import InteractionData
    from datasets.requests import DeletionRequest
    from datasets.validation import DataSummary


class Stream(ABC):
    """One kind of stream with its options."""

    def __init__(self, options: StreamOptions) -> None:
        self.options = options

    @abstractmethod
    def check(self, poison: str, regime: str) -> None:
        """Refuse what the stream does not go with, by the names that a cell chose. Raises ``InputError``."""

    @abstractmethod
    def size(self, summary: DataSummary, maps: IdMaps | None) -> int:
        """How many requests, from counts alone; 0 where only the data can tell. Raises ``InputError``."""

    @abstractmethod
    def requests(self, data: InteractionData) -> list[DeletionRequest]:
        """The requests in order, on the device of ``data``; drawn on the CPU from ``options.seed``.

        Raises:
            InputError: if there is none, if one names what is not in the training split, or if they leave no
                training or validation pair.
        """

    def watched_items(self, data: InteractionData) -> Tensor | None:
        """Items [W] that nobody should be shown once those who ask are forgotten: promoted or sensitive ones.

        None where the stream has no such set; else the share of users who are shown one of them is measured.
        """
        return None


def checkpoint_indices(shares: tuple[float, ...], count: int) -> list[int]:
    """Indices, from 0, of the requests after which the model is measured, always the last one."""
    return sorted({min(count - 1, int(share * count)) for share in shares} | {count - 1})


def refuse_category(options: StreamOptions) -> None:
    """Refuse a category where the stream looks at none. Raises ``InputError``."""
    for key in ("keywords", "category"):
        value = getattr(options, key)
        if value:
            shown = list(value) if key == "keywords" else value
            raise InputError(
                f"stream.{key}={shown} has no meaning with stream={options.name}: choose stream=sensitive."
            )

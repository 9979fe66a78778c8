"""``stream=none``: no stream, but the one request of the regime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasets.errors import InputError
from datasets.streams.base import Stream, refuse_category

if TYPE_CHECKING:
    from datasets.id_maps import IdMaps
    from datasets.interactions import InteractionData
    from datasets.requests import DeletionRequest
    from datasets.validation import DataSummary


class NoStream(Stream):
    """One-shot cells."""

    def check(self, poison: str, regime: str) -> None:
        """Options of a stream have no meaning without one."""
        refuse_category(self.options)
        for key in ("ratio", "count", "file"):
            value = getattr(self.options, key)
            if value is not None:
                raise InputError(
                    f"stream.{key}={value} has no meaning with stream=none: choose stream=users, or set "
                    f"regime.{key}."
                )

    def size(self, summary: DataSummary, maps: IdMaps | None) -> int:
        """No request."""
        return 0

    def requests(self, data: InteractionData) -> list[DeletionRequest]:
        """No request."""
        return []

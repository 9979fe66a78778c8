"""``regime=none``: nothing is forgotten; the backbone alone is trained and measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from datasets.errors import InputError
from datasets.regimes.base import Regime

if TYPE_CHECKING:
    from datasets.id_maps import IdMaps
    from datasets.interactions import InteractionData
    from datasets.requests import DeletionRequest
    from datasets.validation import DataSummary


BEFORE_ANY_REQUEST = ("original", "sisa", "receraser", "ultrare")
"""Methods that have something to measure before any request: the backbone, or an ensemble of shards."""


class NoRegime(Regime):
    """No request: goes with ``method=original``, or with the shards of a method that keeps them."""

    forgets = False
    sized_by = "it forgets nothing, so leave it null"

    def check(self, poison: str, method: str, audits: Sequence[str]) -> None:
        """There is nothing for a method to forget, or for an audit to find."""
        if method not in BEFORE_ANY_REQUEST:
            raise InputError(
                f"method={method} has nothing to forget with regime=none, which measures what there is "
                f"before any request: choose one of {', '.join(BEFORE_ANY_REQUEST)}, or another regime."
            )
        if audits:
            raise InputError("regime=none forgets nothing that an audit could look for: choose audit=none.")
        super().check(poison, method, audits)

    def size(self, summary: DataSummary, maps: IdMaps | None) -> int:
        """Nothing."""
        return 0

    def draw(self, data: InteractionData) -> DeletionRequest:
        """The empty request."""
        from datasets.requests import DeletionRequest

        nobody = data.train[0, :0]
        return DeletionRequest("none", nobody, nobody, data.train[:, :0])

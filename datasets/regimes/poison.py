"""``regime=poison``: exactly the users that ``poison=backdoor`` or ``poison=spam`` injected."""

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


class PoisonRegime(Regime):
    """Injected users leave: a request of the user regime that the injection itself names."""

    sized_by = "it forgets exactly the injected users, so leave it null and set poison.ratio for their number"

    def check(self, poison: str, method: str, audits: Sequence[str]) -> None:
        """Only poisoned data have injected users."""
        if poison == "none":
            raise InputError(
                "regime=poison forgets injected users and poison=none injects none: "
                "choose poison=backdoor or poison=spam."
            )
        super().check(poison, method, audits)

    def size(self, summary: DataSummary, maps: IdMaps | None) -> int:
        """Unknown from counts: the injection is drawn with the data."""
        return 0

    def draw(self, data: InteractionData) -> DeletionRequest:
        """The injected users."""
        import torch

        from datasets.poison import Injection
        from datasets.regimes.drawing import request_for

        injection = Injection.of(data.provenance)
        if injection is None:
            raise InputError(
                "regime=poison finds no injected users in the data: choose poison=backdoor or poison=spam."
            )
        users = torch.arange(*injection.users)
        pairs = torch.isin(data.train.cpu()[0], users)
        return request_for("user", self.options, data, users, users[:0], pairs)

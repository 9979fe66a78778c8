"""``stream=spam``: the users that ``poison=backdoor`` or ``poison=spam`` injected are asked away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasets.errors import InputError
from datasets.poison import Injection
from datasets.streams.base import Stream, refuse_category

if TYPE_CHECKING:
    from torch import Tensor

    from datasets.id_maps import IdMaps
    from datasets.interactions import InteractionData
    from datasets.requests import DeletionRequest
    from datasets.validation import DataSummary


class SpamStream(Stream):
    """Injected users, all of them or the first ``count`` in order."""

    def check(self, poison: str, regime: str) -> None:
        """Only poisoned data have injected users."""
        refuse_category(self.options)
        if poison == "none":
            raise InputError(
                "stream=spam asks for injected users and poison=none injects none: "
                "choose poison=backdoor or poison=spam."
            )
        if regime not in ("user", "poison"):
            raise InputError(
                f"stream=spam asks for whole users, which regime={regime} is not: choose regime=poison."
            )
        for key in ("ratio", "file"):
            value = getattr(self.options, key)
            if value is not None:
                raise InputError(
                    f"stream.{key}={value} does not go with stream=spam, whose users the injection names: "
                    "leave it null and set poison.ratio or stream.count."
                )

    def size(self, summary: DataSummary, maps: IdMaps | None) -> int:
        """Unknown from counts: the injection is drawn with the data."""
        return 0

    def requests(self, data: InteractionData) -> list[DeletionRequest]:
        """Injected users in order, ``batch`` at a time."""
        import torch

        from datasets.streams.composing import Named, composed, in_order

        users = torch.arange(*_injection(data).users)
        users = in_order(users, data, self.options)[: self.options.count]
        return composed(data, [Named(users=part) for part in users.split(self.options.batch)])

    def watched_items(self, data: InteractionData) -> Tensor:
        """The promoted targets."""
        import torch

        return torch.tensor(_injection(data).targets, device=data.train.device)


def _injection(data: InteractionData) -> Injection:
    found = Injection.of(data.provenance)
    if found is None:
        raise InputError(
            "stream=spam finds no injected users in the data: choose poison=backdoor or poison=spam."
        )
    return found

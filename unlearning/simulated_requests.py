"""Deletion requests drawn from the whole data, for methods that learn to forget before they are asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch

from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.regimes.base import Regime
from datasets.regimes.interaction import InteractionRegime
from datasets.regimes.item import ItemRegime
from datasets.regimes.user import UserRegime
from datasets.request_options import RequestOptions
from datasets.requests import DeletionRequest

Kind = Literal["interaction", "user", "item", "mixed"]
KINDS: dict[str, type[Regime]] = {"interaction": InteractionRegime, "user": UserRegime, "item": ItemRegime}


@dataclass(frozen=True)
class SimulatedRequest:
    """A drawn request and the data without its pairs.

    ``kept`` has lost the pairs of the request, and the validation pairs of its users and items. Item
    content stays, also where items are drawn: only edges are simulated.
    """

    request: DeletionRequest
    kept: InteractionData

    @property
    def rate(self) -> float:
        """Share of all training pairs that the request names."""
        return share_of_pairs(self.request, self.kept)

    @property
    def emptied(self) -> float:
        """Share of the request's users that keep no training pair."""
        return share_of_emptied_users(self.request, self.kept)


def simulate(
    data: InteractionData, kind: Kind, rates: tuple[float, float], generator: torch.Generator
) -> SimulatedRequest:
    """Draw a request of ``kind`` for a share of the pairs, users or items that is uniform in ``rates``.

    Raises ``InputError`` where such a share is nothing or leaves too little.
    """
    low, high = rates
    device = generator.device
    share = low + (high - low) * float(torch.rand((), generator=generator, device=device))
    seed, pick = torch.randint(2**31, (2,), generator=generator, device=device).tolist()
    regime = list(KINDS)[pick % len(KINDS)] if kind == "mixed" else kind
    try:
        request = KINDS[regime](RequestOptions(regime, ratio=share, seed=seed)).draw(data)
    except InputError as error:
        raise InputError(
            f"no {regime} request for a share of {share:.3g} can be simulated on this data set: choose other "
            "method.min_rate and method.max_rate."
        ) from error
    kept = replace(request, items=request.items[:0]).apply(data)
    kept = replace(kept, valid=kept.valid[:, ~request.owns(kept.valid)])
    return SimulatedRequest(request, kept)


def share_of_pairs(request: DeletionRequest, kept: InteractionData) -> float:
    """Share of all training pairs that ``request`` names; ``kept`` is the data after it."""
    return request.forget.shape[1] / max(request.forget.shape[1] + kept.train.shape[1], 1)


def share_of_emptied_users(request: DeletionRequest, kept: InteractionData) -> float:
    """Share of the users of ``request.forget`` that have no training pair in ``kept``."""
    users = request.forget[0].unique()
    emptied = ~torch.isin(users, kept.train[0])
    return float(emptied.sum()) / max(len(users), 1)

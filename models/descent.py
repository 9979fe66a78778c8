"""The one descent loop: training, repair and every method that follows a gradient with an optimiser."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from models.base import Recommender


class Counted(Protocol):
    """A batch that knows its ``users`` [B]: it is as many examples as they are."""

    @property
    def users(self) -> Tensor:
        """Users of the examples."""


class Counter(Protocol):
    """Whoever counts examples."""

    def examples(self, count: int) -> None:
        """So many more."""


AnyBatch = TypeVar("AnyBatch", bound=Counted)


def descend(
    model: Recommender,
    batches: Iterable[AnyBatch],
    objective: Callable[[AnyBatch], Tensor],
    optimiser: torch.optim.Optimizer,
    recorder: Counter | None = None,
) -> float:
    """One training pass of ``model``: a step down ``objective`` per batch; its mean over the batches.

    The host waits once, at the end. ``recorder`` is told of the examples; None where nobody counts them.
    """
    model.train()
    model.start_epoch()
    # Summed at once: the next loss of a compiled objective may come in the same memory.
    total: Tensor | float = 0.0
    steps = 0
    for batch in batches:
        total, steps = total + step(objective, optimiser, batch), steps + 1
        if recorder is not None:
            recorder.examples(batch.users.numel())
    return float(total) / steps


def step(
    objective: Callable[[AnyBatch], Tensor], optimiser: torch.optim.Optimizer, batch: AnyBatch
) -> Tensor:
    """One gradient step on a batch: its loss, a scalar that stays on the device.

    Gradients that others left are not followed, and none is left behind.
    """
    optimiser.zero_grad(set_to_none=True)
    loss = objective(batch)
    loss.backward()
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return loss.detach()

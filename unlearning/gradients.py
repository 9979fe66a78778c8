"""Gradient norms of a backbone's modules, measured without leaving a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from datasets.sampling import Batch
from models.base import Recommender
from unlearning.base import Recorder

Objective = Callable[[Batch], Tensor]


class Module(NamedTuple):
    """A leaf module k: its ``name``, its ``branch`` m(k) and its parameters theta_k."""

    name: str
    branch: str
    parameters: list[nn.Parameter]

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.parameters)


def modules_of(model: Recommender) -> list[Module]:
    """The leaf modules of a backbone, in its order."""
    return [
        Module(name, branch, parameters)
        for branch, modules in model.modules_by_branch().items()
        for name, parameters in modules.items()
    ]


def squared_norms(objective: Objective, batches: Iterable[Batch], modules: list[Module]) -> Tensor:
    """Squared gradient norm of every module on every batch: float64 [batches, modules], on the host."""
    parameters = [p for module in modules for p in module.parameters]
    rows = []
    for batch in batches:
        gradients = torch.autograd.grad(objective(batch), parameters, allow_unused=True)
        squares = iter(
            [
                p.new_zeros(()) if g is None else g.square().sum()
                for p, g in zip(parameters, gradients, strict=True)
            ]
        )
        rows.append(torch.stack([torch.stack([next(squares) for _ in m.parameters]).sum() for m in modules]))
    return torch.tensor(torch.stack(rows).tolist(), dtype=torch.float64)


@contextmanager
def untouched(model: Recommender, generator: torch.Generator) -> Iterator[None]:
    """Undo what measuring does beside computing gradients: buffers and the sampling stream.

    So the statistics see the batches that the phase after them starts with.
    """
    dense = [buffer for buffer in model.buffers() if buffer.layout == torch.strided]
    before, state = [buffer.clone() for buffer in dense], generator.get_state()
    yield
    generator.set_state(state)
    with torch.no_grad():
        for buffer, value in zip(dense, before, strict=True):
            buffer.copy_(value)


def counted(batches: Iterable[Batch], recorder: Recorder) -> Iterator[Batch]:
    """The batches, counted as cost: a gradient that is only measured costs as much as one that is used."""
    for batch in batches:
        recorder.examples(batch.users.numel())
        yield batch

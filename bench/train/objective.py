"""The training objective as a function of a batch: as it is or compiled, in a chosen precision.

Compiled is the loss alone. ``torch.compile`` has no sparse tensors: it leaves the sparse products as they
are and fuses what lies between them, on CUDA as CUDA graphs. What it is worth is in docs/design.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from datasets.errors import InputError
from datasets.sampling import Batch
from models.base import Recommender

Objective = Callable[[Batch], Tensor]


@contextmanager
def matmul_precision(name: str) -> Iterator[None]:
    """Inside, float32 matrix products have the precision ``name``; the former one is restored."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def objective_of(model: Recommender, device: torch.device, compiled: bool = False) -> Objective:
    """The total loss of ``model`` as a function of a batch; ``compiled`` at the first batch of each size."""

    def objective(batch: Batch) -> Tensor:
        return model.loss(batch).total

    if not compiled:
        return objective
    torch.compiler.reset()  # what former models left would count towards the limit of recompilations
    mode = "reduce-overhead" if device.type == "cuda" else "default"
    return torch.compile(objective, mode=mode, dynamic=False)


@contextmanager
def compiler_errors() -> Iterator[None]:
    """Inside, the first uses of a compiled objective; raises ``InputError`` where it cannot be compiled."""
    from torch._dynamo.exc import TorchDynamoException  # takes a second to import

    try:
        yield
    except TorchDynamoException as error:
        cause = " ".join(str(error).split("\n\n")[0].split())
        raise InputError(
            f"train.compile=true does not work here ({cause}): "
            "install what is missing (a C++ compiler; on CUDA also Triton) or set train.compile=false."
        ) from error

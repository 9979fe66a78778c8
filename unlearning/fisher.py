"""The diagonal of the empirical Fisher information of a backbone's ranking loss.

For triples i with loss l_i = -log sigma(s_pos - s_neg) and gradient g_i, in two forms:

    per_example   mean_i g_i^2
    batch         mean over batches B of (mean_{i in B} g_i)^2

``per_example`` is the definition. It takes one backward pass per batch: with independent signs
r_i = +-1 the expectation of (sum_i r_i g_i)^2 is sum_i g_i^2, because the cross terms have mean zero.
``batch`` is what released code computes (SSD, Foster et al., AAAI 2024); it depends on the batch size.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from datasets.sampling import Batch
from models.base import Recommender
from unlearning.base import Recorder, trainable
from unlearning.gradients import untouched
from unlearning.passes import pair_losses

FisherForm = Literal["per_example", "batch"]


def diagonal_fisher(
    model: Recommender,
    batches: Iterable[Batch],
    form: FisherForm,
    generator: torch.Generator,
    recorder: Recorder | None = None,
) -> list[Tensor]:
    """The diagonal, one tensor of the parameter's shape for each of ``trainable(model)``.

    Parameters that a batch does not reach count as zero there. The model is measured in training mode
    and left with its buffers as they were; ``generator`` gives the signs. Batches count as cost
    where there is a ``recorder``.
    """
    model.train()
    model.start_epoch()
    parameters = trainable(model)
    sums, weight = [torch.zeros_like(p) for p in parameters], 0
    with untouched(model, generator):
        for batch in batches:
            losses = pair_losses(model, batch)
            value = (losses * _signs(losses, generator)).sum() if form == "per_example" else losses.mean()
            gradients = torch.autograd.grad(value, parameters, allow_unused=True)
            for total, gradient in zip(sums, gradients, strict=True):
                if gradient is not None:
                    total.addcmul_(gradient, gradient)
            weight += len(losses) if form == "per_example" else 1
            if recorder is not None:
                recorder.examples(len(losses))
    return [total / max(weight, 1) for total in sums]


def _signs(like: Tensor, generator: torch.Generator) -> Tensor:
    """Independent signs, +1 or -1 alike, of the shape of ``like``."""
    ones = torch.randint(2, like.shape, generator=generator, device=like.device)
    return (2 * ones - 1).to(like)

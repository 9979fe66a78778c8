"""A two-layer perceptron with dropout and batch normalisation that keeps no running averages.

Running averages of batch statistics would be state that remembers rows which are gone, and no other
part of a model has any. Evaluation takes the statistics of one training pass under fixed noise
instead: of the same rows, with the dropout that the weights were trained for. (Statistics without
dropout would be too narrow, and the output too large beside whatever it is added to.)

In a form whose bits do not depend on the number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.stable import aligned_columns, inverse_sqrt

EPSILON = 1e-5
"""Added to the variance, as in torch."""


class Moments(NamedTuple):
    """Mean and variance of each column, both [width]."""

    mean: Tensor
    variance: Tensor


class Layer(nn.Module):
    """Dropout, linear without bias (the normalisation would cancel it), batch normalisation, PReLU.

    PReLU is max(x, 0) + slope * min(x, 0) with one trained slope (He et al., ICCV 2015), 0.25 at first.
    The weights start Xavier uniform, as in the released code of MIG-GT.
    """

    def __init__(self, width: int, out: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.linear = nn.Linear(width, out, bias=False)
        nn.init.xavier_uniform_(self.linear.weight)
        self.scale, self.shift = nn.Parameter(torch.ones(out)), nn.Parameter(torch.zeros(out))
        self.slope = nn.Parameter(torch.full((1,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        """[n, width] -> [n, out] before normalisation, without dropout."""
        return F.linear(aligned_columns(x), aligned_columns(self.linear.weight))

    def finish(self, x: Tensor, moments: Moments) -> Tensor:
        """Normalise ``x`` [n, out] by ``moments``, scale, shift, and PReLU."""
        x = (x - moments.mean) * (inverse_sqrt(moments.variance + EPSILON) * self.scale) + self.shift
        above = x.relu()
        return above + self.slope.expand(x.shape[-1]) * (x - above)  # its gradient is summed over rows first


class Perceptron(nn.Module):
    """Two layers: [n, width] -> [n, hidden] -> [n, out].

    Args:
        width, hidden, out: of the layers.
        input_dropout, hidden_dropout: on the input, and between the layers.
        seed: of the noise behind the statistics of evaluation.
    """

    def __init__(
        self, width: int, hidden: int, out: int, input_dropout: float, hidden_dropout: float, seed: int
    ) -> None:
        super().__init__()
        self.seed = seed
        self.first, self.second = Layer(width, hidden, input_dropout), Layer(hidden, out, hidden_dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [n, width] -> [n, out]; rows influence each other through the statistics only."""
        if self.training:
            return self._noisy_pass(x, None)[0]
        for layer, moments in zip((self.first, self.second), self._noisy_pass(x, self.seed)[1], strict=True):
            x = layer.finish(layer(x), moments)
        return x

    def _noisy_pass(self, x: Tensor, seed: int | None) -> tuple[Tensor, list[Moments]]:
        """Output and statistics with dropout: from the global generator, or a fresh one with ``seed``."""
        generator = None if seed is None else torch.Generator(x.device).manual_seed(seed)
        used = []
        for layer in (self.first, self.second):
            kept = torch.rand(x.shape, generator=generator, device=x.device) >= layer.dropout
            x = layer(x * kept / (1 - layer.dropout))
            mean = x.mean(dim=0)
            used.append(Moments(mean, (x - mean).square().mean(dim=0)))
            x = layer.finish(x, used[-1])
        return x, used

"""Contrast of a batch against all rows of a table, without ever storing the [batch, rows] matrix.

The denominator of LGMRec's hypergraph contrast (Guo et al., AAAI 2024) runs over all users or items, that of
``models.losses.info_nce`` over the batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from models.stable import aligned_rows

_HELD = 1_280_000
"""Products of queries and keys that are held in memory at once: 5 MB."""
_LEAST, _MOST = 64, 512
"""Queries of a block, at least and at most."""


def log_partition(queries: Tensor, keys: Tensor) -> Tensor:
    """Mean over i of log sum_j exp(<queries_i, keys_j>): queries [B, d], keys [N, d]; a scalar.

    The inner products must stay below 80, or their exponentials overflow: a temperature of 0.02 with
    rows of unit norm is safe. A width that is a multiple of 16 makes the result independent of the
    number of threads.
    """
    value: Tensor = _LogPartition.apply(queries, keys)  # type: ignore[no-untyped-call]
    return value


class _LogPartition(torch.autograd.Function):
    """Value and gradient together, block by block. Second derivatives go through the plain formula.

    Allocating [batch, keys] matrices costs more than the arithmetic.
    """

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor) -> Tensor:
        batch, count = len(queries), len(keys)
        rows, columns = aligned_rows(queries), aligned_rows(keys)
        to_queries, to_keys = torch.empty_like(rows), columns.new_zeros(columns.shape[::-1])
        size = _MOST if _MOST * len(columns) <= _HELD else _LEAST
        logs = []
        for start in range(0, len(rows), size):
            block = rows[start : start + size]
            weights = (block @ columns.t()).exp_()
            weights[:, count:] = 0  # the padding
            total = weights.sum(dim=-1, keepdim=True)
            weights /= total
            torch.mm(weights, columns, out=to_queries[start : start + size])
            to_keys.addmm_(block.t(), weights)
            logs.append(total.log())
        ctx.save_for_backward(queries, keys, to_queries[:batch], to_keys.t()[:count])
        return torch.cat(logs)[:batch].mean()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        queries, keys, to_queries, to_keys = ctx.saved_tensors
        if torch.is_grad_enabled():
            value = (queries @ keys.t()).logsumexp(dim=-1).mean()
            first, second = torch.autograd.grad(value, (queries, keys), grad, create_graph=True)
            return first, second
        scale = grad / len(queries)
        return to_queries * scale, to_keys * scale

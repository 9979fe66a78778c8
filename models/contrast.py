"""Contrast of a batch against all rows of a table, without ever storing the [batch, rows] matrix.

The denominator of LGMRec's hypergraph contrast (Guo et al., AAAI 2024) runs over all users or items.
``models.losses.info_nce`` contrasts within the batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from models.stable import aligned_rows

_BLOCK = 64
"""Queries whose products with all keys are held in memory at once: 5 MB for 20,000 keys."""


def log_partition(queries: Tensor, keys: Tensor) -> Tensor:
    """Mean over i of log sum_j exp(<queries_i, keys_j>): queries [B, d], keys [N, d]; a scalar.

    The inner products must stay below 80, or their exponentials overflow: a temperature of 0.02 with
    rows of unit norm is safe. A width that is a multiple of 16 makes the result independent of the
    number of threads.
    """
    value: Tensor = _LogPartition.apply(queries, keys)  # type: ignore[no-untyped-call]
    return value


class _LogPartition(torch.autograd.Function):
    """Value and gradient together, block by block. Second derivatives go through the plain formula."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor) -> Tensor:
        batch, count = len(queries), len(keys)
        rows, columns = aligned_rows(queries), aligned_rows(keys)
        to_queries, to_keys = torch.empty_like(rows), columns.new_zeros(columns.shape[::-1])
        transposed = columns.t().contiguous()
        logs = []
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            weights = (block @ transposed).exp_()
            weights[:, count:] = 0  # the padding
            total = weights.sum(dim=-1, keepdim=True)
            torch.mm(weights, columns, out=to_queries[start : start + _BLOCK]).div_(total)
            to_keys.addmm_((block / total).t(), weights)
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

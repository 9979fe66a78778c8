"""Constant sparse operators and their propagation, shared by every graph backbone.

``Propagation`` is a PyG ``MessagePassing`` layer whose fused path multiplies with a CSR matrix and
whose backward multiplies with the transposed CSR, stored beside it: for a symmetric operator both are
one matrix, so no transpose is ever formed. The gather-scatter path (``message`` and ``aggregate``)
computes the same for devices without CSR kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from datasets.sparse import csr_tensor

Shape = tuple[int, int]


@dataclass(frozen=True, eq=False)
class SparseOperator:
    """A constant sparse matrix [targets, sources] on one device. Immutable, so copies share it.

    ``edges``: LongTensor [2, E], row 0 sources and row 1 targets, sorted by target.
    ``weights``: float [E]. ``matrix`` and ``transposed``: the same as CSR; None on a device without
    CSR kernels; one object if the operator is symmetric.
    """

    edges: Tensor
    weights: Tensor
    shape: Shape
    matrix: Tensor | None
    transposed: Tensor | None

    def __deepcopy__(self, memo: dict[int, Any]) -> SparseOperator:
        return self


class Propagation(MessagePassing):  # type: ignore[misc]  # PyG is untyped here
    """One propagation step without parameters: ``out = A x``, or ``residual + A x`` in one pass.

    Shapes: ``x`` [sources, d], operator [targets, sources], ``residual`` and the result [targets, d].
    """

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(self, x: Tensor, operator: SparseOperator, residual: Tensor | None = None) -> Tensor:
        """Propagate ``x`` [sources, d] to the targets: [targets, d]."""
        source_and_target = (x, None)
        if operator.matrix is not None:
            fused = {"transposed": operator.transposed, "residual": residual, "weights": None}
            out: Tensor = self.propagate(operator.matrix, x=source_and_target, **fused)
            return out
        plain = {"transposed": None, "residual": None, "weights": operator.weights}
        out = self.propagate(operator.edges, x=source_and_target, size=operator.shape[::-1], **plain)
        return out if residual is None else out + residual

    def message(self, x_j: Tensor, weights: Tensor) -> Tensor:
        """One weighted source row per edge: [E, d]."""
        return x_j * weights[:, None]

    def message_and_aggregate(
        self, matrix: Tensor, x: tuple[Tensor, Tensor], transposed: Tensor, residual: Tensor
    ) -> Tensor:
        """The fused path: a sparse-dense product in both directions."""
        out: Tensor = _SparseMatmul.apply(x[0], matrix, transposed, residual)  # type: ignore[no-untyped-call]
        return out


class _SparseMatmul(torch.autograd.Function):
    """``residual + matrix @ x``; the gradient of x is ``transposed @ grad``, itself differentiable."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, matrix: Tensor, transposed: Tensor, residual: Tensor | None = None
    ) -> Tensor:
        ctx.matrix, ctx.transposed, ctx.has_residual = matrix, transposed, residual is not None
        return matrix @ x if residual is None else torch.addmm(residual, matrix, x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, Tensor | None]:
        back: Tensor = _SparseMatmul.apply(grad, ctx.transposed, ctx.matrix, None)  # type: ignore[no-untyped-call]
        return back, None, None, grad if ctx.has_residual else None


def mean_over_layers(step: Propagation, operator: SparseOperator, x: Tensor, layers: int) -> Tensor:
    """Mean of ``x, A x, ..., A^layers x`` (LightGCN, eq. 8, alpha_k = 1/(K+1)), by Horner's rule.

    Shapes: ``x`` and the result [nodes, d].
    """
    total = x
    for _ in range(layers):
        total = step(total, operator, residual=x)
    return total / (layers + 1)


def normalised_adjacency(pairs: Tensor, num_users: int, num_items: int) -> SparseOperator:
    """D^-1/2 A D^-1/2 of the bipartite graph over [users; items] (LightGCN, eq. 7).

    ``pairs``: LongTensor [2, E] of (user, item); repeated pairs count once. Nodes without an edge
    have empty rows. Memory is linear in edges and nodes.
    """
    users, items, weights = _normalised_pairs(pairs, num_users, num_items)
    nodes = num_users + num_items
    rows = torch.cat([users, items + num_users])
    columns = torch.cat([items + num_users, users])
    return sparse_operator(rows, columns, weights.repeat(2), (nodes, nodes), symmetric=True)


def interaction_block(pairs: Tensor, num_users: int, num_items: int) -> SparseOperator:
    """The user x item block [num_users, num_items] of ``normalised_adjacency``."""
    users, items, weights = _normalised_pairs(pairs, num_users, num_items)
    return sparse_operator(users, items, weights, (num_users, num_items))


def distinct_pairs(pairs: Tensor, num_items: int) -> Tensor:
    """The distinct (user, item) pairs of ``pairs`` [2, E], sorted: LongTensor [2, D]."""
    keys = torch.unique(pairs[0] * num_items + pairs[1])
    return torch.stack([keys // num_items, keys % num_items])


def prune(pairs: Tensor, num_users: int, num_items: int, keep: float) -> Tensor:
    """A share ``keep`` of the distinct ``pairs`` [2, E], drawn without replacement: LongTensor [2, K].

    A pair is drawn with a chance that grows with 1 / sqrt(deg(user) deg(item)) (FREEDOM, section 3.2),
    from the global generator. The smallest of exponential variables with these rates are such a draw;
    unlike ``torch.multinomial`` it has no limit on their number.
    """
    degrees = (
        torch.bincount(pairs[0], minlength=num_users)[pairs[0]]
        * (torch.bincount(pairs[1], minlength=num_items)[pairs[1]])
    )
    waiting = torch.empty(pairs.shape[1], device=pairs.device).exponential_() * degrees.sqrt()
    kept = waiting.topk(int(pairs.shape[1] * keep), largest=False).indices
    return pairs[:, kept]


def operator_from_csr(graph: Tensor) -> SparseOperator:
    """The operator that a torch CSR matrix [targets, sources] states, symmetric or not."""
    counts = graph.crow_indices().diff()
    rows = torch.arange(graph.shape[0], device=graph.device).repeat_interleave(counts)
    return sparse_operator(rows, graph.col_indices().long(), graph.values(), (graph.shape[0], graph.shape[1]))


def sparse_operator(
    rows: Tensor,
    columns: Tensor,
    values: Tensor,
    shape: Shape,
    *,
    symmetric: bool = False,
    csr: bool | None = None,
) -> SparseOperator:
    """Build an operator from distinct entries ``(rows[e], columns[e]) = values[e]``, each [E].

    ``symmetric`` promises that the matrix equals its transpose. ``csr`` forces or forbids the CSR
    path; by default the device decides.
    """
    order = (rows * shape[1] + columns).argsort()
    rows, columns, values = rows[order], columns[order], values[order]
    matrix = transposed = None
    if supports_csr(values.device) if csr is None else csr:
        matrix = transposed = _csr(rows, columns, values, shape)
        if not symmetric:
            back = (columns * shape[0] + rows).argsort()
            transposed = _csr(columns[back], rows[back], values[back], (shape[1], shape[0]))
    return SparseOperator(torch.stack([columns, rows]), values, shape, matrix, transposed)


def reweighted(operator: SparseOperator, weights: Tensor, reverse: Tensor) -> SparseOperator:
    """A symmetric ``operator`` with other ``weights`` [E], not necessarily symmetric.

    ``reverse`` [E] is the position of each edge's reverse edge. The pattern is shared, not copied.
    """
    if operator.matrix is None:
        return SparseOperator(operator.edges, weights, operator.shape, None, None)
    starts, columns = operator.matrix.crow_indices(), operator.matrix.col_indices()
    matrix, transposed = (
        csr_tensor(starts, columns, values, operator.shape) for values in (weights, weights[reverse])
    )
    return SparseOperator(operator.edges, weights, operator.shape, matrix, transposed)


@cache
def supports_csr(device: torch.device) -> bool:
    """Whether ``device`` has the CSR kernels that the fused path needs, found by trying them."""
    zero = torch.zeros(1, dtype=torch.long, device=device)
    one = torch.ones(1, device=device)
    try:
        product = _csr(zero, zero, one, (1, 1)) @ one[:, None]
    except RuntimeError:  # NotImplementedError, torch's usual answer, is one
        return False
    return bool(product.item() == 1.0)


def _normalised_pairs(pairs: Tensor, num_users: int, num_items: int) -> tuple[Tensor, Tensor, Tensor]:
    """Distinct pairs as users [E], items [E] and their weights 1 / sqrt(deg(user) deg(item)) [E]."""
    users, items = distinct_pairs(pairs, num_items)
    user_degrees = torch.bincount(users, minlength=num_users).to(torch.get_default_dtype())
    item_degrees = torch.bincount(items, minlength=num_items).to(torch.get_default_dtype())
    return users, items, (user_degrees[users] * item_degrees[items]).rsqrt()


def _csr(rows: Tensor, columns: Tensor, values: Tensor, shape: Shape) -> Tensor:
    """CSR from sorted entries, with 32-bit indices: the CPU kernel would convert wider ones per call."""
    starts = torch.zeros(shape[0] + 1, dtype=torch.int32, device=values.device)
    starts[1:] = torch.bincount(rows, minlength=shape[0]).cumsum(0)
    return csr_tensor(starts, columns.int(), values, shape)

"""Markov graph diffusion over the interaction graph, with edges dropped at random while training.

Hu et al., "MGDCF: Distance Learning via Markov Graph Diffusion for Neural Collaborative Filtering",
TKDE 2024. With A' = D^-1/2 (A + I) D^-1/2, the bipartite graph with self-loops:

    H_0 = X,  H_k = beta A' H_{k-1} + alpha X,  result H_K / (beta^K + alpha sum_{k<K} beta^k)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.graph import Propagation, SparseOperator, distinct_pairs, reweighted, sparse_operator
from models.layers import LayerEdit
from models.stable import inverse_sqrt


@dataclass(frozen=True, eq=False)
class DiffusionGraph:
    """A' [nodes, nodes] and, per edge, the position of its reverse: LongTensor [E]."""

    operator: SparseOperator
    reverse: Tensor


def diffusion_graph(pairs: Tensor, num_users: int, num_items: int) -> DiffusionGraph:
    """A' of training ``pairs`` [2, E] over [users; items]; nodes without an edge keep their loop."""
    users, items = distinct_pairs(pairs, num_items)
    nodes = num_users + num_items
    loops = torch.arange(nodes, device=pairs.device)
    rows = torch.cat([users, items + num_users, loops])
    columns = torch.cat([items + num_users, users, loops])
    scale = inverse_sqrt(torch.bincount(rows, minlength=nodes).to(torch.get_default_dtype()))
    operator = sparse_operator(rows, columns, scale[rows] * scale[columns], (nodes, nodes), symmetric=True)
    sources, targets = operator.edges
    return DiffusionGraph(operator, (sources * nodes + targets).argsort())


def drop_edges(graph: DiffusionGraph, rate: float) -> SparseOperator:
    """Each directed edge is lost with chance ``rate``, the others weigh 1 / (1 - rate) as much."""
    weights = graph.operator.weights
    kept = torch.rand(len(weights), device=weights.device) >= rate
    return reweighted(graph.operator, weights * kept / (1 - rate), graph.reverse)


def diffuse(
    step: Propagation,
    operator: SparseOperator,
    x: Tensor,
    hops: int,
    alpha: float,
    beta: float,
    edit: LayerEdit | None = None,
) -> Tensor:
    """``hops`` steps of diffusion, each edited if asked, normalised: [nodes, d] from ``x`` [nodes, d]."""
    out, norm, rest = x, beta**hops + alpha * sum(beta**k for k in range(hops)), alpha * x
    for hop in range(1, hops + 1):
        out = step(beta * out, operator, residual=rest)
        out = out if edit is None else edit(hop, out)
    return out / norm

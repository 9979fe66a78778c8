"""Item-item graphs: nearest neighbours by cosine similarity of item content.

The frozen kNN graph of LATTICE, FREEDOM and MGCN: row i of S keeps the k items with the largest
cosine similarity to item i (itself included), and is normalised as D^-1/2 S D^-1/2 with the row sums
of S as degrees.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.sparse import csr_tensor

CHUNK_ELEMENTS = 1 << 24
"""Similarities held at once when the caller sets no chunk size: 128 MiB."""

SELF = 2.0
"""Above every cosine: an item is its own first neighbour, whatever duplicates it has."""


def item_graph(data: InteractionData, modality: str, k: int) -> Tensor:
    """Top-k similarity graph of one modality: CSR [num_items, num_items], not normalised.

    The graph that came with the data where there is one, otherwise from the features. Withdrawn
    items have no neighbours and are nobody's neighbour.

    Raises:
        InputError: if the data set has neither, or its graph holds fewer than k neighbours per item.
    """
    given = data.item_graphs.get(modality)
    if given is not None:
        _check_depth(given, modality, k, len(data.withdrawn_items))
        return strongest(drop_items(given, data.withdrawn_items), k)
    if modality not in data.features:
        raise InputError(
            f"modality {modality} has neither features nor an item graph in this data set: "
            f"choose among {', '.join(data.modalities) or 'none'}."
        )
    features = data.features[modality].index_fill(0, data.withdrawn_items, 0.0)
    return knn_graph(features, k)


def knn_graph(features: Tensor, k: int, chunk_rows: int | None = None) -> Tensor:
    """The k most similar items of every item: CSR [n, n] of float32 cosine similarities.

    Each item is its own neighbour; ties go to the smaller id. Rows of zero norm get no neighbours and
    are nobody's neighbour; with fewer than k other rows, all are neighbours. Never holds more than
    ``chunk_rows`` x n similarities. Computed in float64 and rounded, so that neither the chunk size
    nor the number of threads decides between duplicates.

    Args:
        features: [n, d], any float type, finite.
        k: neighbours per item, itself included.
        chunk_rows: rows per chunk; None for about ``CHUNK_ELEMENTS`` similarities.
    """
    total = features.shape[0]
    norms = features.double().norm(dim=1)
    ids = (norms > 0).nonzero().squeeze(1)
    units = normalize(features[ids].double(), dim=1)
    step = chunk_rows or max(1, CHUNK_ELEMENTS // max(1, len(ids)))
    parts = [_nearest(units, start, step, k) for start in range(0, len(ids), step)]
    if not parts:
        return _csr(ids, ids, norms[:0].float(), total)
    rows, columns, values = (torch.cat(part) for part in zip(*parts, strict=True))
    return _csr(ids[rows], ids[columns], values, total)


def strongest(graph: Tensor, k: int) -> Tensor:
    """The k largest entries of every row of a CSR; ties go to the smaller column."""
    rows, columns, values = _entries(graph)
    order = columns.argsort(stable=True)
    order = order[values[order].argsort(descending=True, stable=True)]
    order = order[rows[order].argsort(stable=True)]
    first = graph.crow_indices()[:-1]
    kept = order[torch.arange(len(order), device=order.device) - first[rows[order]] < k]
    return _csr(rows[kept], columns[kept], values[kept], graph.shape[0])


def drop_items(graph: Tensor, ids: Tensor) -> Tensor:
    """The CSR graph without the rows and columns of ``ids`` (same shape, they become empty)."""
    if ids.numel() == 0:
        return graph
    rows, columns, values = _entries(graph)
    gone = torch.zeros(graph.shape[0], dtype=torch.bool, device=ids.device)
    gone[ids] = True
    kept = ~(gone[rows] | gone[columns])
    return _csr(rows[kept], columns[kept], values[kept], graph.shape[0])


def normalise_symmetric(graph: Tensor) -> Tensor:
    """D^-1/2 S D^-1/2 with D the row sums of S; rows without a positive sum become zero."""
    rows, columns, values = _entries(graph)
    degree = torch.zeros(graph.shape[0], dtype=values.dtype, device=values.device)
    degree.index_add_(0, rows, values)
    scale = torch.where(degree > 0, degree.clamp(min=1e-12).rsqrt(), 0.0)
    return csr_tensor(graph.crow_indices(), columns, scale[rows] * values * scale[columns], graph.shape)


def _nearest(units: Tensor, start: int, step: int, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """(row, column, similarity) of the k nearest of rows ``start`` to ``start + step``."""
    similarity = (units[start : start + step] @ units.t()).float()
    local = torch.arange(similarity.shape[0], device=units.device)
    similarity[local, local + start] = SELF
    least = similarity.topk(min(k, len(units)), dim=1).values[:, -1:]
    rows, columns = (similarity >= least).nonzero(as_tuple=True)
    values = similarity[rows, columns]
    # Where several tie for the last place, the smaller ids fill what the larger values leave.
    certain = values > least[rows, 0]
    room = k - torch.zeros_like(local).index_add_(0, rows, certain.long())
    tied_before = (~certain).long().cumsum(0) - (~certain).long()
    first = torch.searchsorted(rows, local)
    kept = certain | (tied_before - tied_before[first[rows]] < room[rows])
    values = torch.where(values == SELF, 1.0, values)
    return rows[kept] + start, columns[kept], values[kept]


def _check_depth(graph: Tensor, modality: str, k: int, withdrawn: int) -> None:
    """A graph that lost withdrawn items may be short by as many neighbours, but not by more."""
    depth = int(graph.crow_indices().diff().max())
    if depth + withdrawn < min(k, graph.shape[0]):
        raise InputError(
            f"the item graph of modality {modality} holds {depth} neighbours per item, but k={k}: "
            f"lower k to {depth} or remove the graph file so that it is built from the features."
        )


def _entries(graph: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(row, column, value) of every stored entry of a CSR, in row order."""
    start = graph.crow_indices()
    rows = torch.arange(graph.shape[0], device=start.device).repeat_interleave(start.diff())
    return rows, graph.col_indices(), graph.values()


def _csr(rows: Tensor, columns: Tensor, values: Tensor, size: int) -> Tensor:
    """A square CSR from unordered distinct entries; columns are sorted within a row."""
    order = (rows * size + columns).argsort()
    counts = torch.bincount(rows, minlength=size)
    start = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return csr_tensor(start, columns[order], values[order], (size, size))

"""The feature matrix of a modality, and the graph of the nearest items over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import InputError
from datasets.prepare.modalities import Ints, Modality
from datasets.prepare.progress import bar
from datasets.prepare.sources.options import Missing

NEIGHBOURS = 10
"""Items in a row of a graph file, itself included; the layout has it in the file's name."""


def write_features(modality: Modality, items: Ints, missing: Missing, folder: Path) -> dict[str, Any]:
    """Write ``<modality>_feat.npy``: float32 [len(items), d], row = position in ``items``.

    Raises:
        InputError: if no item has content, or a vector is not finite.
    """
    matrix: np.memmap[Any, np.dtype[np.float32]] | None = None
    filled = np.zeros(len(items), dtype=bool)
    with bar(f"features of {modality.name}") as advance:
        for rows, vectors in modality.blocks(items, advance):
            if matrix is None:
                shape = len(items), vectors.shape[1]
                path = folder / f"{modality.name}_feat.npy"
                matrix = np.lib.format.open_memmap(path, "w+", np.dtype(np.float32), shape)
            _check_finite(modality, rows, vectors)
            matrix[rows] = vectors
            filled[rows] = True
    if matrix is None:
        raise InputError(
            f"no item that is left has {modality.name} content: leave it out with "
            f"--{modality.name}-features none."
        )
    if missing == "mean" and not filled.all():
        matrix[~filled] = matrix[filled].mean(axis=0, dtype=np.float64)
    zero = sum(
        int((~matrix[start : start + 65536].any(axis=1)).sum()) for start in range(0, len(matrix), 65536)
    )
    matrix.flush()
    return {
        **modality.identity(),
        "columns": int(matrix.shape[1]),
        "items_without_content": int((~filled).sum()),
        "missing": missing,
        "zero_rows": zero,
    }


def write_graph(features: Path, modality: str, folder: Path) -> dict[str, Any]:
    """Write ``<modality>_knn10.npz``: the ten nearest items by cosine similarity, itself included."""
    import scipy.sparse as sp
    import torch

    from datasets.item_graphs import knn_graph

    graph = knn_graph(torch.from_numpy(np.load(features)), NEIGHBOURS)
    parts = graph.values().numpy(), graph.col_indices().numpy(), graph.crow_indices().numpy()
    stored = sp.csr_array(parts, shape=(graph.shape[0], graph.shape[1]))
    sp.save_npz(folder / f"{modality}_knn10.npz", stored)
    return {"entries": int(stored.nnz)}


def _check_finite(modality: Modality, rows: Ints, vectors: NDArray[np.float32]) -> None:
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        raise InputError(
            f"the {modality.name} extractor gives NaN or infinite values for item {int(rows[bad.argmax()])}: "
            "use another model or another device."
        )

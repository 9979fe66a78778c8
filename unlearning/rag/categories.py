"""The category of every item: what the data set says, else clusters of content."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from datasets.interactions import InteractionData

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


def item_vectors(data: InteractionData, otherwise: Floats) -> Floats:
    """What an item is by its content [num_items, d]: rows of all modalities side by side, each of unit
    length.

    A withdrawn item, and one without content, is a row of zeros. Without features it is ``otherwise``.
    """
    parts = [data.features[name].detach().cpu().numpy() for name in sorted(data.features)]
    return np.concatenate([_unit(part) for part in (parts or [otherwise])], axis=1).astype(np.float32)


def categories(data: InteractionData, vectors: Floats, level: int | None, clusters: int, seed: int) -> Ints:
    """A number for every item [num_items].

    With item text it is the category path down to ``level`` (1: the most general); items without one share a
    category. Without, and for a ``level`` of None, it is the cluster of ``vectors`` by k-means.
    """
    if level is not None and data.item_text is not None and any(text.categories for text in data.item_text):
        names = [" > ".join(text.categories[:level]) for text in data.item_text]
        _, found = np.unique(np.array(names), return_inverse=True)
        return found.astype(np.int64)
    number = min(clusters, len(np.unique(vectors, axis=0)))
    labels = KMeans(number, n_init=3, random_state=seed % 2**32).fit_predict(vectors)
    return np.asarray(labels, dtype=np.int64)


def _unit(rows: Floats) -> Floats:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    found: Floats = np.divide(rows, norms, out=np.zeros_like(rows, dtype=np.float32), where=norms > 0)
    return found

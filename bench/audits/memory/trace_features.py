"""What the weights and the lists of a model show of single users or items.

Nothing is masked: the observer does not know who interacted with what.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from bench.audits.statistics import Floats
from bench.measure.evaluate import HEADLINE_K, ranked_lists, user_chunks
from models.base import Recommender, Side


def row_features(
    model: Recommender, side: Side, ids: Tensor, references: Tensor, neighbours: int
) -> dict[str, Floats]:
    """``row_norm`` and ``nearest_row`` [N]: norm of the row, mean distance to its nearest reference rows.

    Rows are those of the ID table, or the final representations where a backbone has no table of this
    side. A reference is not its own neighbour.
    """
    table = model.id_tables().get(side)
    rows = table if table is not None else model.embeddings()[0 if side == "user" else 1]
    own, others = (rows[chosen].detach().cpu().double().numpy() for chosen in (ids, references))
    count = min(neighbours, len(others) - 1)
    distances, found = NearestNeighbors(n_neighbors=count + 1).fit(others).kneighbors(own)
    itself = references.cpu().numpy()[found] == ids.cpu().numpy()[:, None]
    itself[~itself.any(axis=1), -1] = True  # who is no reference has one neighbour too many
    nearest = distances[~itself].reshape(len(own), count).mean(axis=1)
    return {"row_norm": np.linalg.norm(own, axis=1), "nearest_row": nearest}


def user_lists(model: Recommender, ids: Tensor, vectors: Tensor, chunk_scores: int) -> dict[str, Floats]:
    """``score_level`` and ``list_diversity`` [N] of the users' top 20.

    Level: the mean score. Diversity: 1 - mean cosine of the item vectors [num_items, f] of two listed items.
    """
    scorer = model.scorer()
    unit = torch.nn.functional.normalize(vectors, dim=1)
    levels, diversities = [], []
    for users in user_chunks(ids, model.num_items, chunk_scores):
        values, items = scorer(users).topk(min(HEADLINE_K, model.num_items), dim=1)
        listed = unit[items]
        alike = listed.sum(dim=1).square().sum(dim=1) - listed.square().sum(dim=(1, 2))
        levels.append(values.double().mean(dim=1))
        diversities.append(1 - alike / (items.shape[1] * (items.shape[1] - 1)))
    return {"score_level": _numpy(levels), "list_diversity": _numpy(diversities)}


def item_lists(model: Recommender, ids: Tensor, users: Tensor, chunk_scores: int) -> dict[str, Floats]:
    """``score_level`` and ``list_share`` [N] of the items over ``users``.

    Level: the mean score; share: in how many of the users' top 20 the item is.
    """
    scorer = model.scorer()
    scores = torch.zeros(model.num_items, dtype=torch.double, device=ids.device)
    listed = torch.zeros(model.num_items, dtype=torch.double, device=ids.device)
    for chunk in user_chunks(users, model.num_items, chunk_scores):
        scores += scorer(chunk).double().sum(dim=0)
    for _, items, _ in ranked_lists(scorer, users, None, model.num_items, HEADLINE_K, chunk_scores):
        listed += torch.bincount(items.flatten(), minlength=model.num_items)
    return {
        name: _numpy([sums[ids] / len(users)])
        for name, sums in (("score_level", scores), ("list_share", listed))
    }


def _numpy(parts: list[Tensor]) -> Floats:
    values: Floats = torch.cat(parts).cpu().numpy()
    return values

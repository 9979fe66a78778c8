"""The score attack: what it looks at in a pair, and how it is fitted without seeing whom it judges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from bench.audits.statistics import Floats, Ints
from models.base import Recommender


@dataclass(frozen=True)
class MatchedPairs:
    """``members`` and ``others`` [2, P], column by column a member and its non-member.

    ``unit`` [P]: the user (or item) that both belong to, numbered from 0.
    """

    members: Tensor
    others: Tensor
    unit: Ints


def pair_features(model: Recommender, pairs: Tensor, sampled: Tensor, chunk_scores: int) -> Floats:
    """[P, 3]: score, rank percentile among all items, mean margin over the items ``sampled``."""
    scorer, size = model.scorer(), max(1, chunk_scores // model.num_items)
    rows = []
    for users, items in zip(pairs[0].split(size), pairs[1].split(size), strict=True):
        scores = scorer(users)
        own = scores.gather(1, items[:, None])
        percentile = (scores < own).double().mean(dim=1)
        margin = (own - scores[:, sampled]).double().mean(dim=1)
        rows.append(torch.stack([own.squeeze(1).double(), percentile, margin], dim=1).cpu().numpy())
    return np.concatenate(rows)


def cross_fitted(fitted_on: Floats, applied_to: Floats, unit: Ints, folds: int, seed: int) -> Floats:
    """Probability of membership of every row of ``applied_to`` [2 P, 3].

    Rows are members first, then their non-members. A logistic regression is fitted on ``fitted_on``
    [2 P, 3] without the fold that the row is in. Folds hold whole units, and each unit has as many members
    as non-members, so that no share of either gives a held-out row away.
    """
    truth, group = np.repeat([1, 0], len(unit)), np.concatenate([unit, unit])
    probability = np.zeros(len(truth))
    cut = GroupKFold(folds, shuffle=True, random_state=seed % 2**32)
    for learn, held_out in cut.split(fitted_on, truth, group):
        attack = make_pipeline(StandardScaler(), LogisticRegression()).fit(fitted_on[learn], truth[learn])
        probability[held_out] = attack.predict_proba(applied_to[held_out])[:, 1]
    return probability

"""Membership inference from scores: can forgotten pairs be told from pairs never trained on?

Members are forgotten pairs, non-members held-out test pairs of the same users (of the same items in
the item regime), equal in number and matched in item popularity, so that popularity gives nothing
away. Features of a pair: its score, its rank percentile among all items, its mean margin over
sampled items. A balanced logistic regression, cross-validated in five folds, predicts membership.
Balanced accuracy (TPR + TNR) / 2 is .5 at chance; the target is gold's value, which may lie above it
(our construction: TRU names an attack but not its features, pools or classifier).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from bench.audits.base import Audit, AuditContext, Figures, MemoryClaim
from bench.audits.statistics import attack_figures
from bench.machine.seeding import derive
from datasets.errors import InputError
from models.base import Recommender, Scorer

FOLDS = 5
POPULARITY_BINS = 10
SAMPLED_ITEMS = 100


class MembershipScore(Audit):
    """The attack; pools, folds and bootstrap are drawn once and shared by all models."""

    name = "membership"
    memory: ClassVar[MemoryClaim | None] = MemoryClaim("balanced_accuracy")
    label: ClassVar[str] = "membership_score"
    """Name in the registry, for messages."""

    def __init__(self, context: AuditContext) -> None:
        super().__init__(context)
        self._random = np.random.default_rng(derive(context.seed, "membership audit"))
        self._members, self._others = self._pools()
        self._sampled = torch.from_numpy(
            self._random.choice(
                context.full.num_items, min(SAMPLED_ITEMS, context.full.num_items), replace=False
            )
        ).to(context.full.train.device)

    def chance(self) -> float:
        """A coin."""
        return 0.5

    def figures(self, model: Recommender) -> Figures:
        """``balanced_accuracy`` with a 95 % bootstrap interval (``_low``, ``_high``), ``auc``, ``pairs``."""
        scorer = model.scorer()
        pools = [self._features(scorer, pairs) for pairs in (self._members, self._others)]
        features = np.concatenate(pools)
        truth = np.repeat([1, 0], [len(pools[0]), len(pools[1])])
        attack = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=self.context.seed)
        probability = cross_val_predict(attack, features, truth, cv=folds, method="predict_proba")[:, 1]
        bootstrap = derive(self.context.seed, "membership bootstrap")
        found = attack_figures(probability[truth == 1], probability[truth == 0], bootstrap)
        return {**found, "pairs": float(len(truth))}

    def _candidates(self) -> tuple[Tensor, Tensor]:
        """Pairs [2, n] to draw members and non-members from."""
        context = self.context
        members, test = context.request.forget.cpu(), context.full.test.cpu()
        side = 1 if context.request.regime == "item" else 0
        return members, test[:, torch.isin(test[side], members[side])]

    def _pools(self) -> tuple[Tensor, Tensor]:
        """Members and non-members [2, n], equally many in every popularity bin."""
        context = self.context
        members, others = self._candidates()
        popularity = torch.bincount(context.full.train[1].cpu(), minlength=context.full.num_items).float()
        edges = torch.quantile(popularity[others[1]], torch.linspace(0, 1, POPULARITY_BINS + 1)[1:-1])
        chosen: list[tuple[Tensor, Tensor]] = []
        bins = [torch.bucketize(popularity[pairs[1]], edges) for pairs in (members, others)]
        for number in range(POPULARITY_BINS):
            inside = [(own == number).nonzero().squeeze(1) for own in bins]
            count = min(map(len, inside))
            first, second = (
                torch.from_numpy(self._random.permutation(ids.numpy())[:count]) for ids in inside
            )
            chosen.append((members[:, first], others[:, second]))
        pools = [torch.cat(part, dim=1) for part in zip(*chosen, strict=True)]
        if pools[0].shape[1] < 2 * FOLDS:
            raise InputError(
                f"audits={self.label} finds only {pools[0].shape[1]} matched pairs for this request: "
                "ask for a larger one (regime.ratio) or leave the audit out (audit.audits)."
            )
        device = context.full.train.device
        return pools[0].to(device), pools[1].to(device)

    def _features(self, scorer: Scorer, pairs: Tensor) -> NDArray[np.float64]:
        """[n, 3]: score, rank percentile, mean margin over the sampled items."""
        size = max(1, self.context.chunk_scores // self.context.full.num_items)
        rows = []
        for users, items in zip(pairs[0].split(size), pairs[1].split(size), strict=True):
            scores = scorer(users)
            own = scores.gather(1, items[:, None])
            percentile = (scores < own).double().mean(dim=1)
            margin = (own - scores[:, self._sampled]).double().mean(dim=1)
            rows.append(torch.stack([own.squeeze(1).double(), percentile, margin], dim=1).cpu().numpy())
        return np.concatenate(rows)

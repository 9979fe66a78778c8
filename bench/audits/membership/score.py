"""Membership inference from scores: can forgotten pairs be told from pairs never trained on?

Members are forgotten pairs. Each is paired with a held-out test pair of the same user (of the same item,
where items are withdrawn) that is next to it in popularity: the item's (the user's) training pairs in the
retained data, the pair itself not counted, so that neither the user nor popularity gives anything away.
Features of a pair: its score, its rank percentile among all items, its mean margin over sampled items. A
logistic regression predicts membership, cross-fitted over folds of whole users (items).

It is fitted with the forget labels of the audited model, which no attacker has: an upper bound on what an
attacker learns who sees scores alone and reads them in this way. Beside it stands the attacker who was
fitted on the original and is applied to the audited model as he is. The target is gold's value; chance is
.5 (our construction; TRU names an attack but not its features, pools or classifier).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from bench.audits.base import Audit, AuditContext, Figures, MemoryClaim, unit_side
from bench.audits.matching import Counted, counts_elsewhere, partners
from bench.audits.membership.attack import MatchedPairs, cross_fitted, pair_features
from bench.audits.options import MembershipOptions
from bench.audits.statistics import Floats, attack_figures
from bench.machine.seeding import derive
from bench.measure.evaluate import evaluating
from datasets.errors import InputError
from models.base import Recommender
from models.capabilities import Capability


class MembershipScore(Audit):
    """The attack; pairs, folds and resamples are drawn once and shared by all models."""

    name = "membership"
    Options = MembershipOptions
    options: MembershipOptions
    memory: ClassVar[MemoryClaim | None] = MemoryClaim("balanced_accuracy")
    needs: ClassVar[frozenset[Capability]] = frozenset()
    label: ClassVar[str] = "membership_score"
    """Name in the registry, for messages."""

    def __init__(self, context: AuditContext, options: Any = None) -> None:
        super().__init__(context, options)
        self._random = np.random.default_rng(derive(context.seed, "membership audit"))
        members, others = map(context.judged_pairs, self._candidates())
        self._offered = members.shape[1]
        self._side = self._unit_side()
        self._pairs, self._matched = self._paired(members, others)
        number = min(self.options.sampled_items, context.full.num_items)
        sampled = self._random.choice(context.full.num_items, number, replace=False)
        self._sampled = torch.from_numpy(sampled).to(context.full.train.device)

    def chance(self) -> float:
        """A coin."""
        return 0.5

    def figures(self, model: Recommender) -> Figures:
        """``balanced_accuracy``, ``auc`` and ``tpr_at_1pct_fpr`` with 95 % intervals over users (items).

        ``fit_on_original_...``: the same of the attack fitted on the original. ``pairs``: members with a
        partner, ``matched``: their share of all members. ``matching_auc``: of the counts alone that pairs
        were matched in, .5 where the matching leaves nothing.
        """
        features = self._features(model)
        seed = derive(self.context.seed, "membership bootstrap")
        found: Figures = {}
        for prefix, fitted_on in (("", features), ("fit_on_original_", self._original)):
            figures = attack_figures(*self._verdicts(fitted_on, features), self._pairs.unit, seed)
            found |= {f"{prefix}{name}": value for name, value in figures.items()}
        return {**found, **self._about_the_pairs()}

    def _verdicts(self, fitted_on: Floats, features: Floats) -> tuple[Floats, Floats]:
        """Probabilities of members [P] and of their non-members [P]."""
        seed = derive(self.context.seed, "membership folds")
        probability = cross_fitted(fitted_on, features, self._pairs.unit, self.options.folds, seed)
        return probability[: len(self._pairs.unit)], probability[len(self._pairs.unit) :]

    def _about_the_pairs(self) -> dict[str, float]:
        pairs, (own, partner) = len(self._pairs.unit), self._matched
        left = roc_auc_score(np.repeat([1, 0], pairs), np.concatenate([own, partner]))
        return {
            "pairs": float(pairs),
            "matched": pairs / self._offered,
            "matching_auc": float(left),
        }

    @cached_property
    def _original(self) -> Floats:
        with evaluating(self.context.references["original"]) as original:
            return self._features(original)

    def _features(self, model: Recommender) -> Floats:
        both = torch.cat([self._pairs.members, self._pairs.others], dim=1)
        return pair_features(model, both, self._sampled, self.context.chunk_scores)

    def _unit_side(self) -> int:
        """What a member and its non-member have in common: 0 the user, 1 the item."""
        return unit_side(self.context.request)

    def _candidates(self) -> tuple[Tensor, Tensor]:
        """Members, and pairs [2, N] to take non-members from."""
        return self.context.request.forget, self.context.full.test

    def _paired(self, members: Tensor, others: Tensor) -> tuple[MatchedPairs, tuple[Floats, Floats]]:
        """Members with a partner, and the counts that they were matched in."""
        side, retain = self._side, self.context.retain
        sides = [
            Counted(pairs[side].cpu().numpy(), counts_elsewhere(pairs, retain, 1 - side))
            for pairs in (members, others)
        ]
        partner = partners(sides[0], sides[1], self.options.ratio, self._random)
        kept = np.flatnonzero(partner >= 0)
        _, unit = np.unique(sides[0].group[kept], return_inverse=True)
        units = int(unit.max()) + 1 if len(unit) else 0
        if units < 2 * self.options.folds:
            what = ("users", "items")[side]
            raise InputError(
                f"audits={self.label} finds only {units} {what} with a training and a test pair that match: "
                "ask for a larger request (regime.ratio) or leave the audit out (audit.audits)."
            )
        own, of_partner = torch.from_numpy(kept), torch.from_numpy(partner[kept])
        device = members.device
        pairs = MatchedPairs(members[:, own.to(device)], others[:, of_partner.to(device)], unit)
        counts = (sides[0].count[kept].astype(float), sides[1].count[partner[kept]].astype(float))
        return pairs, counts

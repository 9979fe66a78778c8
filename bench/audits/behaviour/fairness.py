"""Fairness: who pays for the unlearning, active or inactive users?

CURE4Rec's released code takes the 5 % of users with the most interactions after deletion as active, and
prints the ranking metrics of both groups; its A-IGF formula is not published. ``ndcg_gap`` is our
reading of it: |NDCG@20 of active - NDCG@20 of inactive users| on the test split. The quarters by
activity are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from bench.audits.base import Audit, AuditContext, Figures
from bench.audits.options import AuditOptions
from bench.measure.evaluate import HEADLINE_K, evaluate_split
from bench.measure.targets import ranks_only, reachable
from datasets.errors import InputError
from datasets.pairs import PairIndex
from models.base import Recommender
from models.capabilities import Capability

QUARTERS = 4
RECALL, NDCG = f"recall_at_{HEADLINE_K}", f"ndcg_at_{HEADLINE_K}"


@dataclass(frozen=True)
class FairnessOptions(AuditOptions):
    """Who counts as active."""

    active_share: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Of the users who stay and have test pairs, the most active; 5 % is CURE4Rec's released code."""


class Fairness(Audit):
    """Test metrics of users who stay, by their activity in the retain set; ties by the smaller id."""

    name = "fairness"
    Options = FairnessOptions
    options: FairnessOptions
    needs: ClassVar[frozenset[Capability]] = frozenset()

    def __init__(self, context: AuditContext, options: Any = None) -> None:
        super().__init__(context, options)
        full, retain = context.full, context.retain
        self._known = PairIndex(retain.train, full.num_users, full.num_items)
        self._test = PairIndex(
            context.judged_pairs(reachable(full.test, retain)), full.num_users, full.num_items
        )
        activity = self._known.counts
        judged = ((activity > 0) & (self._test.counts > 0)).nonzero().squeeze(1)
        if len(judged) < QUARTERS:
            raise InputError(
                f"audits=fairness finds only {len(judged)} users who stay and have test pairs: "
                "leave the audit out (audit.audits)."
            )
        ranked = judged[activity[judged].argsort(descending=True, stable=True)]
        active = max(1, round(self.options.active_share * len(ranked)))
        self._groups = {"active": ranked[:active], "inactive": ranked[active:]}
        quarters = ranked.flip(0).tensor_split(QUARTERS)
        self._groups |= {f"quarter_{number}": users for number, users in enumerate(quarters, start=1)}

    def figures(self, model: Recommender) -> Figures:
        """``recall_at_20/<group>``, ``ndcg_at_20/<group>`` and ``ndcg_gap``.

        Groups: ``active``, ``inactive``, ``quarter_1`` (least active) to ``quarter_4``.
        """
        scorer = ranks_only(model.scorer(), self.context.candidates, self.context.retain)
        result = evaluate_split(scorer, self._test, self._known, self.context.chunk_scores, (HEADLINE_K,))
        means = {name: result.among(self._mask(users)).means() for name, users in self._groups.items()}
        found: Figures = {f"{m}/{name}": mean[m] for name, mean in means.items() for m in (RECALL, NDCG)}
        return {**found, "ndcg_gap": abs(means["active"][NDCG] - means["inactive"][NDCG])}

    def _mask(self, users: Tensor) -> Tensor:
        mask = torch.zeros(self.context.full.num_users, dtype=torch.bool, device=users.device)
        mask[users] = True
        return mask

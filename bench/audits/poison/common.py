"""What the poisoning audits share: who was injected, who is clean, and the effect on the clean.

Valid only where the deletion request is exactly the injected users (``regime=poison``).
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from bench.audits.base import Audit, AuditContext, Figures, MemoryClaim
from bench.audits.statistics import share_with_interval
from bench.measure.evaluate import HEADLINE_K, evaluate_split, ranked_lists
from bench.measure.targets import reachable
from datasets.errors import InputError
from datasets.pairs import PairIndex
from datasets.poison import Injection
from datasets.poison_options import Poison
from models.base import Recommender, Scorer

ATTACK_SUCCESS = "attack_success_rate"


class PoisonAudit(Audit):
    """Attack success on some users and the effect on clean ones; training pairs that stay are masked."""

    kind: Poison

    def __init__(self, context: AuditContext) -> None:
        super().__init__(context)
        full = context.full
        self.injection = self._injection()
        device = full.train.device
        self._known = PairIndex(context.retain.train, full.num_users, full.num_items)
        test = reachable(full.test, context.retain)
        self._clean_test = PairIndex(test, full.num_users, full.num_items)
        self._targets = torch.tensor(self.injection.targets, device=device)
        active = context.retain.train[0].unique()
        self.clean: Tensor = active[active < self.injection.users[0]]

    @abstractmethod
    def attacked(self) -> Tensor:
        """The users [U] on whom the attack is tried."""

    def figures(self, model: Recommender) -> Figures:
        """``attack_success_rate`` with Wilson's 95 % interval, ``trials``, and the clean-after effect.

        Attack success: share of the attacked users with a target item in their top 20.
        ``clean_hit_rate``: the same share of the real users; ``clean_exposure_at_20``: share of their
        top-20 slots that targets fill; ``clean_recall_at_20``: their test recall.
        """
        scorer = model.scorer()
        clean_hits, filled, clean = self._hits(scorer, self.clean)
        attacked, hits, attempts = self.attacked(), clean_hits, clean
        if attacked is not self.clean:
            hits, _, attempts = self._hits(scorer, attacked)
        test = evaluate_split(scorer, self._clean_test, self._known, self.context.chunk_scores, (HEADLINE_K,))
        return {
            **share_with_interval(ATTACK_SUCCESS, hits, attempts),
            "trials": attempts,
            "clean_hit_rate": clean_hits / clean,
            f"clean_exposure_at_{HEADLINE_K}": filled,
            f"clean_recall_at_{HEADLINE_K}": test.means()[f"recall_at_{HEADLINE_K}"],
        }

    def chance(self) -> float:
        """A top 20 drawn at random: 1 - (1 - 20 / items) ** targets."""
        share = min(1.0, HEADLINE_K / self.context.full.num_items)
        return 1 - (1 - share) ** len(self._targets)

    def _hits(self, scorer: Scorer, users: Tensor) -> tuple[int, float, int]:
        """Users with a target in their top 20, share of all slots that targets fill, number of users."""
        hits = filled = slots = 0
        lists = ranked_lists(
            scorer, users, self._known, self._known.num_items, HEADLINE_K, self.context.chunk_scores
        )
        for _, items, valid in lists:
            shown = torch.isin(items, self._targets) & valid
            hits += int(shown.any(dim=1).sum())
            filled += int(shown.sum())
            slots += int(valid.sum())
        return hits, filled / max(slots, 1), len(users)

    def _injection(self) -> Injection:
        injection = Injection.of(self.context.full.provenance)
        if injection is None or injection.kind != self.kind:
            there = "none" if injection is None else injection.kind
            raise InputError(
                f"audits={self.kind} needs a data set with that poison and this one has poison={there}: "
                f"choose poison={self.kind} with regime=poison."
            )
        injected = torch.arange(*injection.users, device=self.context.request.users.device)
        if not torch.equal(self.context.request.users, injected):
            raise InputError(
                f"audits={self.kind} needs a request for exactly the injected users: choose regime=poison."
            )
        return injection


def claim(poison: Poison) -> MemoryClaim:
    """The claim of a poisoning audit."""
    return MemoryClaim(ATTACK_SUCCESS, regime="poison", poison=poison)

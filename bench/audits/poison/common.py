"""What the poisoning audits share: who was injected, who is clean, and the effect on the clean.

Valid only where the deletion request is exactly the injected users (``regime=poison``).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

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
from models.capabilities import Capability

ATTACK_SUCCESS = "attack_success_rate"


class PoisonAudit(Audit):
    """Attack success on some users and the effect on clean ones; training pairs that stay are masked."""

    kind: Poison
    needs: ClassVar[frozenset[Capability]] = frozenset()

    def __init__(self, context: AuditContext, options: Any = None) -> None:
        super().__init__(context, options)
        full = context.full
        self.injection = self._injection()
        device = full.train.device
        self._known = PairIndex(context.retain.train, full.num_users, full.num_items)
        test = context.judged_pairs(reachable(full.test, context.retain))
        self._clean_test = PairIndex(test, full.num_users, full.num_items)
        self._targets = torch.tensor(self.injection.targets, device=device)
        active = context.retain.train[0].unique()
        self.clean: Tensor = context.judged(active[active < self.injection.users[0]])

        if not bool(self.attacked()[1].any(dim=0).all()):
            raise InputError(
                f"audits={self.kind} finds a target that can be tried on none of the measured users: raise "
                "evaluate.users.count or leave the audit out (audit.audits)."
            )

    @abstractmethod
    def attacked(self) -> tuple[Tensor, Tensor]:
        """The users [U] on whom the attack is tried, and with which targets: bool [U, targets]."""

    def figures(self, model: Recommender) -> Figures:
        """``attack_success_rate`` with a 95 % interval that counts target items, ``targets``, ``trials``, and
        the clean-after effect.

        Attack success of a target: share of the users it is tried on who have it in their top 20; the rate
        is the mean over targets. ``clean_hit_rate``: share of the real users with any target in their top
        20; ``clean_exposure_at_20``: share of their top-20 slots that targets fill; ``clean_recall_at_20``:
        their test recall. Array: ``success_by_target`` [targets].
        """
        scorer = model.scorer()
        users, tried = self.attacked()
        successes = (self._shown(scorer, users)[0] & tried).sum(dim=0).double()
        by_target = successes / tried.sum(dim=0)
        shown, slots = self._shown(scorer, self.clean)
        test = evaluate_split(scorer, self._clean_test, self._known, self.context.chunk_scores, (HEADLINE_K,))
        return {
            **share_with_interval(ATTACK_SUCCESS, by_target.tolist(), int(tried.sum())),
            "targets": float(len(by_target)),
            "trials": float(tried.sum()),
            "clean_hit_rate": float(shown.any(dim=1).double().mean()),
            f"clean_exposure_at_{HEADLINE_K}": float(shown.sum()) / max(slots, 1),
            f"clean_recall_at_{HEADLINE_K}": test.means()[f"recall_at_{HEADLINE_K}"],
            "success_by_target": by_target,
        }

    def chance(self) -> float:
        """A top 20 drawn at random holds a target: 20 / items."""
        return min(1.0, HEADLINE_K / self.context.full.num_items)

    def _shown(self, scorer: Scorer, users: Tensor) -> tuple[Tensor, int]:
        """Which targets are in whose top 20, bool [U, targets]; the number of all slots."""
        lists = ranked_lists(
            scorer, users, self._known, self._known.num_items, HEADLINE_K, self.context.chunk_scores
        )
        found, slots = [], 0
        for _, items, valid in lists:
            listed = (items[..., None] == self._targets) & valid[..., None]
            found.append(listed.any(dim=1))
            slots += int(valid.sum())
        return torch.cat(found), slots

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

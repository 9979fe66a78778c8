"""User-level membership inference with a shadow recommender (Zhang et al., CCS 2021).

Zhang et al., "Membership Inference Attacks Against Recommender Systems". The attacker sees what a user
interacted with and what the system recommends to him. Items get vectors by factorising an interaction
matrix; a user is described by the centroid of his interacted items minus the centroid of his recommended
items; an MLP with two hidden layers learns, on a shadow recommender trained by the attacker himself,
which differences betray a member. Neither the paper's data nor its way to serve non-members (the most
popular items) fits unlearning, and TRU, which names the attack, states neither. These choices are ours:

* A *profile* is a user with a set of pairs: in the user regime all of his, in the item and interaction
  regimes those that the request names. A *member* profile was trained on.
* Shadow data: the retain set without a random share of its users (user regime) or of its pairs (item and
  interaction regimes; drawn by items, the attack would learn which items were left out, and nothing that
  holds for others). The shadow recommender is the cell's own backbone with the cell's own training. Its
  members are an equally large random share that stays, its non-members what was left out: the attack
  learns from these alone and never sees a label of the audited model.
* Targets: the forgotten profiles. As members they are what the audited model recommends; as non-members
  they are *the same users in the eyes of gold*, which never saw their pairs. Members and non-members are
  thus matched in number, activity and popularity exactly. Gold is at .5 by construction; what a model
  keeps of the forgotten users lifts it above; below .5 they stand out by looking forgotten.
* Item vectors: truncated SVD of the full training matrix. They describe items, the same
  for every model; all profiles, shadow and target, are part of that matrix alike.
* Recommended: the top 20. Training pairs of other profiles are masked, a profile's own pairs never are:
  masking them for members only would give membership away without the model.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from bench.audits.base import Audit, AuditContext, Figures, MemoryClaim
from bench.audits.item_vectors import item_vectors
from bench.audits.options import AuditOptions
from bench.audits.statistics import Floats, attack_figures
from bench.machine.seeding import derive
from bench.measure.evaluate import HEADLINE_K, evaluating, ranked_lists
from datasets.errors import InputError
from datasets.pairs import PairIndex
from datasets.requests import DeletionRequest
from models.base import Recommender
from models.capabilities import Capability

FEWEST_PROFILES = 20


@dataclass(frozen=True)
class MembershipShadowOptions(AuditOptions):
    """The knobs of the shadow attack. All defaults are ours."""

    share: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    """Of the retained users or pairs: left out of the shadow data; as many more are its members. Another
    share is another shadow recommender to train."""

    factors: Annotated[int, Field(ge=1)] = 16
    """Rank of the item vectors."""

    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (32, 8)
    """Units of the MLP's hidden layers."""

    weight_decay: Annotated[float, Field(ge=0)] = 1.0
    """Of the MLP: what keeps it from learning a few hundred profiles by heart."""

    epochs: Annotated[int, Field(ge=1)] = 300
    """Of the MLP at most; it stops earlier where its loss does not fall any more."""

    tried_out: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Share of the shadow profiles on which the attack itself is tried out, not trained."""


@dataclass(frozen=True)
class Profiles:
    """Pairs [2, P] grouped by user, and the pairs [2, K] that are known anyway and never recommended."""

    pairs: Tensor
    known: Tensor


class MembershipShadow(Audit):
    """The shadow attack."""

    name = "membership_shadow"
    Options = MembershipShadowOptions
    options: MembershipShadowOptions
    memory = MemoryClaim("balanced_accuracy")
    needs: ClassVar[frozenset[Capability]] = frozenset()

    def __init__(self, context: AuditContext, options: Any = None) -> None:
        super().__init__(context, options)
        forgotten = context.judged_pairs(context.request.forget)
        profiles = len(forgotten[0].unique())
        if profiles < FEWEST_PROFILES:
            raise InputError(
                f"audits=membership_shadow finds only {profiles} forgotten users: "
                "ask for a larger request (regime.ratio) or leave the audit out (audit.audits)."
            )
        self._left_out, self._members = self._shadow_requests()
        self._targets = Profiles(forgotten, context.retain.train)

    def chance(self) -> float:
        """A coin."""
        return 0.5

    def figures(self, model: Recommender) -> Figures:
        """``balanced_accuracy``, ``auc`` and ``tpr_at_1pct_fpr`` with 95 % intervals over users,
        ``member_rate``, ``profiles``.

        ``member_rate``: share of the forgotten profiles that the attack calls members.
        ``shadow_balanced_accuracy``: of the attack on shadow profiles that it was not trained on; where it
        is near .5 the attack sees nothing anywhere.
        """
        members = self._attack(model, self._targets)
        seed = derive(self.context.seed, "shadow bootstrap")
        return {
            **attack_figures(members, self._gold, np.arange(len(members)), seed),
            "member_rate": float((members > 0.5).mean()),
            "profiles": len(members),
            "shadow_balanced_accuracy": self._shadow[1],
        }

    @cached_property
    def _gold(self) -> Floats:
        with evaluating(self.context.references["gold"]) as gold:
            return self._attack(gold, self._targets)

    def _attack(self, model: Recommender, profiles: Profiles) -> Floats:
        """Probability of membership by profile."""
        probability: Floats = self._shadow[0].predict_proba(self._features(model, profiles))[:, 1]
        return probability

    @cached_property
    def _shadow(self) -> tuple[MLPClassifier, float]:
        """The trained attack and its balanced accuracy on shadow profiles kept apart."""
        context, parts = self.context, (self._left_out, self._members)
        data = self._left_out.apply(context.retain)
        known = self._members.apply(data).train
        with torch.enable_grad():  # audits run without
            shadow = context.train_model(data, "audit: shadow recommender")
        with evaluating(shadow):
            features = [self._features(shadow, Profiles(part.forget, known)) for part in parts]
        truth = np.repeat([0, 1], [len(rows) for rows in features])
        seed = derive(context.seed, "shadow attack") % 2**32
        learn, tried, learn_truth, tried_truth = train_test_split(
            np.concatenate(features),
            truth,
            test_size=self.options.tried_out,
            stratify=truth,
            random_state=seed,
        )
        network = MLPClassifier(
            self.options.hidden,
            alpha=self.options.weight_decay,
            max_iter=self.options.epochs,
            random_state=seed,
        )
        attack = make_pipeline(StandardScaler(), network)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=ConvergenceWarning)  # the budget is the rule
            attack.fit(learn, learn_truth)
        return attack, float(balanced_accuracy_score(tried_truth, attack.predict(tried)))

    def _shadow_requests(self) -> tuple[DeletionRequest, DeletionRequest]:
        """What the shadow data lacks, and as much that stays in it."""
        context = self.context
        train, whole_users = context.retain.train, bool(context.request.users.numel())
        units = train[0].unique() if whole_users else torch.arange(train.shape[1], device=train.device)
        number = max(1, round(self.options.share * len(units)))
        seed = derive(context.seed, "shadow data")
        order = torch.randperm(len(units), generator=torch.Generator().manual_seed(seed))
        halves = order[: 2 * number].to(units.device).tensor_split(2)
        first, second = (_part(train, units[half].sort().values, whole_users) for half in halves)
        return first, second

    def _features(self, model: Recommender, profiles: Profiles) -> Floats:
        """Centroid of the interacted minus centroid of the recommended items [profiles, factors]."""
        data, vectors = self.context.full, self._vectors
        users, row = profiles.pairs[0].unique(return_inverse=True)
        interacted = torch.zeros(len(users), vectors.shape[1], dtype=vectors.dtype, device=vectors.device)
        interacted.index_add_(0, row, vectors[profiles.pairs[1]])
        interacted /= torch.bincount(row)[:, None]
        masked = PairIndex(profiles.known, data.num_users, data.num_items)
        lists = ranked_lists(
            model.scorer(), users, masked, data.num_items, HEADLINE_K, self.context.chunk_scores
        )
        recommended = [
            (vectors[items] * valid[..., None]).sum(dim=1) / valid.sum(dim=1, keepdim=True).clamp(min=1)
            for _, items, valid in lists
        ]
        return (interacted - torch.cat(recommended)).cpu().numpy()

    @cached_property
    def _vectors(self) -> Tensor:
        """Item vectors [num_items, factors], unit mean square."""
        seed = derive(self.context.seed, "shadow item vectors")
        return item_vectors(self.context.full, self.options.factors, seed)


def _part(train: Tensor, ids: Tensor, whole_users: bool) -> DeletionRequest:
    """A request for all pairs [2, E] of the users ``ids``, or for the pairs at the positions ``ids``."""
    none = ids[:0]
    if whole_users:
        return DeletionRequest("user", ids, none, train[:, torch.isin(train[0], ids)])
    return DeletionRequest("interaction", none, none, train[:, ids])

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
* Item vectors: rank-``FACTORS`` truncated SVD of the full training matrix. They describe items, the same
  for every model; all profiles, shadow and target, are part of that matrix alike.
* Recommended: the top 20. Training pairs of other profiles are masked, a profile's own pairs never are:
  masking them for members only would give membership away without the model.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from bench.audits.base import Audit, AuditContext, Figures, MemoryClaim
from bench.audits.statistics import attack_figures
from bench.machine.seeding import derive
from bench.measure.evaluate import HEADLINE_K, evaluating, ranked_lists
from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.pairs import PairIndex
from datasets.regimes.interaction import InteractionRegime
from datasets.regimes.user import UserRegime
from datasets.request_options import RequestOptions
from datasets.requests import DeletionRequest
from models.base import Recommender

Floats = NDArray[np.float64]

SHADOW_SHARE = 0.2
"""Of the retained users or pairs: left out of the shadow data; as many more are its members."""
FACTORS = 16
HIDDEN = (32, 8)
"""Units of the MLP's hidden layers."""
WEIGHT_DECAY = 1.0
"""Of the MLP: what keeps it from learning a few hundred profiles by heart."""
EPOCHS = 300
"""Of the MLP at most; it stops earlier where its loss does not fall any more."""
TRIED_OUT = 0.25
"""Share of the shadow profiles on which the attack itself is tried out, not trained."""
FEWEST_PROFILES = 20


@dataclass(frozen=True)
class Profiles:
    """Pairs [2, P] grouped by user, and the pairs [2, K] that are known anyway and never recommended."""

    pairs: Tensor
    known: Tensor


class MembershipShadow(Audit):
    """The shadow attack."""

    name = "membership_shadow"
    memory = MemoryClaim("balanced_accuracy")

    def __init__(self, context: AuditContext) -> None:
        super().__init__(context)
        profiles = len(context.request.forget[0].unique())
        if profiles < FEWEST_PROFILES:
            raise InputError(
                f"audits=membership_shadow finds only {profiles} forgotten users: "
                "ask for a larger request (regime.ratio) or leave the audit out (audit.audits)."
            )
        self._left_out, self._members = self._shadow_requests()
        self._targets = Profiles(context.request.forget, context.retain.train)

    def chance(self) -> float:
        """A coin."""
        return 0.5

    def figures(self, model: Recommender) -> Figures:
        """``balanced_accuracy`` with a 95 % bootstrap interval, ``auc``, ``member_rate``, ``profiles``.

        ``member_rate``: share of the forgotten profiles that the attack calls members.
        ``shadow_balanced_accuracy``: of the attack on shadow profiles that it was not trained on; where it
        is near .5 the attack sees nothing anywhere.
        """
        members = self._attack(model, self._targets)
        seed = derive(self.context.seed, "shadow bootstrap")
        return {
            **attack_figures(members, self._gold, seed),
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
            np.concatenate(features), truth, test_size=TRIED_OUT, stratify=truth, random_state=seed
        )
        attack = make_pipeline(
            StandardScaler(), MLPClassifier(HIDDEN, alpha=WEIGHT_DECAY, max_iter=EPOCHS, random_state=seed)
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=ConvergenceWarning)  # the budget is the rule
            attack.fit(learn, learn_truth)
        probability = attack.predict_proba(tried)[:, 1]
        quality = attack_figures(probability[tried_truth == 1], probability[tried_truth == 0], seed)
        return attack, quality["balanced_accuracy"]

    def _shadow_requests(self) -> tuple[DeletionRequest, DeletionRequest]:
        """What the shadow data lacks, and as much that stays in it."""
        context = self.context
        of_users = len(context.request.users) > 0
        seed, kind = derive(context.seed, "shadow data"), UserRegime if of_users else InteractionRegime
        both = kind(RequestOptions(name="user", ratio=2 * SHADOW_SHARE, seed=seed)).draw(context.retain)
        ids = both.users if of_users else torch.arange(both.forget.shape[1])
        shuffled = ids[torch.randperm(len(ids), generator=torch.Generator().manual_seed(seed)).to(ids.device)]
        first, second = (half.sort().values for half in shuffled.tensor_split(2))
        return _part(both, first), _part(both, second)

    def _features(self, model: Recommender, profiles: Profiles) -> Floats:
        """Centroid of the interacted minus centroid of the recommended items [profiles, FACTORS]."""
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
        """Item vectors [num_items, FACTORS], unit mean square."""
        return item_vectors(self.context.full, derive(self.context.seed, "shadow item vectors"))


def item_vectors(data: InteractionData, seed: int) -> Tensor:
    """V S of the truncated SVD U S V^T of the training matrix: float64 [num_items, <= FACTORS]."""
    users, items = data.train.cpu().numpy()
    matrix = sp.csr_array(
        (np.ones(len(users)), (items, users)), shape=(data.num_items, data.num_users), dtype=np.float64
    )
    factors = min(FACTORS, min(matrix.shape) - 1)
    vectors = TruncatedSVD(factors, random_state=seed % 2**32).fit_transform(matrix)
    return torch.from_numpy(vectors / np.sqrt(np.mean(vectors**2))).to(data.train.device)


def _part(request: DeletionRequest, ids: Tensor) -> DeletionRequest:
    """The part of ``request`` that its users ``ids``, or its pairs at the positions ``ids``, are."""
    none = request.users[:0]
    if request.regime == "user":
        pairs = request.forget[:, torch.isin(request.forget[0], ids)]
        return DeletionRequest("user", ids, none, pairs)
    return DeletionRequest("interaction", none, none, request.forget[:, ids.to(request.forget.device)])

"""RecEraser: isolated shards of a greedy balanced partition, under an attentive combiner.

Chen et al., "Recommendation Unlearning", WWW 2022. Before any request (offline):

    vectors     of users and items: the original model's, or those of a matrix factorisation
    partition   balanced and greedy, of interactions, users or items (``unlearning.greedy_assignment``)
    shards      one backbone per part, trained on its pairs alone
    combiner    logit_s = h . relu(A e_s + b),  a = softmax_s,  e = sum_s a_s (W_s e_s + b_s)

On a request (online): the shards whose data changed are trained from scratch on what is left of them, and the
combiner is fitted afresh. docs/methods/receraser.md says what is published and what is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field

from datasets.interactions import InteractionData
from models.base import Recommender
from unlearning.base import Problem, Recorder, Setting, UnlearnResult
from unlearning.combiner import Attention
from unlearning.combiner_fit import fit, told
from unlearning.distillation import frozen
from unlearning.ego_ensemble import EgoEnsemble, check_ego
from unlearning.ensemble import ShardEnsemble
from unlearning.factorisation import factorised
from unlearning.options import CombinerOptions
from unlearning.partitions import greedy
from unlearning.shard_state import ShardMethod
from unlearning.shard_training import ShardState, check_shards, retrained_shards, trained_shards
from unlearning.shards import Partition


@dataclass(frozen=True)
class RecEraserOptions(CombinerOptions):
    """Published: the defaults of the released code (Yelp2018, ML-1M, ML-10M)."""

    vectors: Literal["original", "wmf"] = "original"
    """What the partition sees: the original's final embeddings (ours; they hold content and graph), or
    vectors of weighted matrix factorisation. Published: ``wmf``."""

    wmf_width: Annotated[int, Field(ge=1)] = 64
    """Width of the factorisation. Published: 64."""

    wmf_negative_weight: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Weight of an absent pair. Published: .05 (Yelp2018), .2 (ML)."""

    wmf_lr: Annotated[float, Field(gt=0)] = 0.05
    """Of its Adagrad. Published: .05."""

    wmf_epochs: Annotated[int, Field(ge=1)] = 50
    """Passes over the users, a batch of as many users as training has triples per step. Published: up to 1000
    with early stopping; ours."""

    unit: Literal["interaction", "user", "item"] = "interaction"
    """What is divided: pairs by both distances, or all pairs of a user, or of an item. Published: all three,
    ``interaction`` the default of the released code."""

    rounds: Annotated[int, Field(ge=1)] = 50
    """Rounds of assigning and moving anchors at most. Published: 50."""

    slack: Annotated[float, Field(ge=1)] = 1.2
    """A shard takes at most this many times its even share. Published: 1.2."""

    aggregate: Literal["final", "ego"] = "final"
    """``final``: the shards' final embeddings are combined. ``ego``: their ID tables are, and the mixture is
    propagated once over the whole retain graph. Published: ``ego`` for LightGCN."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of a combined embedding's entries dropped while the combiner is fitted. Published: keep .7; where
    it acts is our reading."""

    map_decay: Annotated[float, Field(ge=0)] = 1e-5
    """Weight of half the squared norm of the combiner's maps. Published: 1e-5."""

    combiner_epochs: Annotated[int, Field(ge=0)] = 50
    """Passes of the combiner. Published: 50."""


class RecEraser(ShardMethod):
    """Greedily balanced shards, retrained where touched, under attention."""

    Options = RecEraserOptions
    options: RecEraserOptions

    @property
    def fitted_on_validation(self) -> bool:
        """Where the combiner is."""
        return self.options.combiner_data == "valid"

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` for too many shards, the full graph, or ``ego`` on a backbone without it."""
        units = model.num_items if self.options.unit == "item" else model.num_users
        check_shards("receraser", self.options, model, units)
        if self.options.aggregate == "ego":
            check_ego(model)

    def prepare(self, original: Recommender, setting: Setting) -> ShardState:
        """Partition and all shards. Raises ``InputError`` where shards get too small."""
        options = self.options
        state = trained_shards(self._partition(original, setting), setting, options.shard_epochs)
        ensemble = self.combined(setting.data, state.partition, state.models(), state.seed)
        fit(ensemble, setting.data, options, state.seed, setting.batch_size)
        return state

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Retrain the touched shards on the retain set and fit a fresh combiner; ``original`` is not used."""
        options = self.options
        done = retrained_shards(problem, recorder, options.shard_epochs)
        state = done.state
        partition = problem.prepared.partition  # with forgotten pairs, for who evaluates on the full graph
        ensemble = self.combined(problem.retain, partition, state.models(), state.seed)
        fit(ensemble, problem.retain, options, state.seed, problem.batch_size, told(recorder))
        return UnlearnResult(ensemble, notes={**done.notes()}, state=state)

    def _partition(self, original: Recommender, setting: Setting) -> Partition:
        options, seed = self.options, setting.generator.initial_seed()
        vectors: tuple[torch.Tensor, torch.Tensor] = frozen(original)
        if options.vectors == "wmf":
            vectors = factorised(
                setting.data,
                options.wmf_width,
                options.wmf_negative_weight,
                options.wmf_epochs,
                options.wmf_lr,
                setting.batch_size,
                seed,
            )
        return greedy(
            setting.data, vectors, options.unit, options.shards, options.rounds, options.slack, seed
        )

    def combined(
        self, data: InteractionData, partition: Partition, models: Mapping[int, Recommender], seed: int
    ) -> ShardEnsemble:
        """See ``ShardMethod``."""
        options = self.options
        first = next(iter(models.values()))
        ego = options.aggregate == "ego"
        width = first.id_tables()["item"].shape[1] if ego else frozen(first).items.shape[1]
        own = torch.Generator().manual_seed(seed)
        combiner = Attention(len(models), width, options.attention_dim, own, options.dropout)
        if ego:
            return EgoEnsemble(data, partition, models, combiner, options.map_decay)
        return ShardEnsemble(data, partition, models, combiner, map_decay=options.map_decay)

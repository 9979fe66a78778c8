"""UltraRE: isolated shards of a balanced partition; a request retrains the touched ones from scratch.

Li et al., "UltraRE: Enhancing RecEraser for Recommendation Unlearning via Error Decomposition",
NeurIPS 2023. Before any request (offline):

    partition   balanced clusters of users (or pairs) by optimal transport on trained embeddings
    shards      one backbone per cluster, trained on its pairs alone
    combiner    learned, over the frozen embeddings of the shards

On a request (online): the shards whose data changed are trained from scratch on what is left of
them, and the combiner is fitted afresh. docs/methods/ultrare.md says what is published and what is ours.
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
from unlearning.combiner import Attention, Weights
from unlearning.combiner_fit import fit, told
from unlearning.distillation import frozen
from unlearning.ensemble import ShardEnsemble
from unlearning.options import CombinerOptions
from unlearning.partitions import by_transport
from unlearning.shard_state import ShardMethod
from unlearning.shard_training import ShardState, check_shards, retrained_shards, trained_shards
from unlearning.shards import Partition


@dataclass(frozen=True)
class UltraREOptions(CombinerOptions):
    """Published: the values that TRU (arXiv 2604.02183, appendix A) names for its run of UltraRE."""

    partition: Literal["user", "interaction"] = "user"
    """What is clustered. ``user`` is UltraRE's: shards of equally many users. ``interaction`` gives
    shards of equally many pairs, a user's pairs spread over several."""

    epsilon: Annotated[float, Field(gt=0)] = 0.1
    """Entropic regularisation of the transport, in units of the mean cost (ours). Published: .1 (TRU)."""

    rounds: Annotated[int, Field(ge=1)] = 10
    """Outer iterations of the clustering. Published: 10 (TRU; UltraRE's code: at most 10)."""

    sinkhorn_iterations: Annotated[int, Field(ge=1)] = 100
    """Inner iterations per plan at most. Published: unknown; ours."""

    combiner: Literal["attention", "weights"] = "attention"
    """``attention``: linear maps and attention over the shards' embeddings (RecEraser's). ``weights``: one
    weight per shard on its scores. Published: learned, on embeddings; the form is unknown."""

    combiner_decay: Annotated[float, Field(ge=0)] = 0.0
    """Weight of half the squared norm of the batch's combined embeddings, per example. Published: weight
    decay 0 (TRU)."""


class UltraRE(ShardMethod):
    """Balanced shards, retrained where touched."""

    Options = UltraREOptions
    options: UltraREOptions

    @property
    def fitted_on_validation(self) -> bool:
        """Where the combiner is."""
        return self.options.combiner_data == "valid"

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` for more shards than users, or a graph that shards cannot be trained on."""
        check_shards("ultrare", self.options, model, model.num_users)

    def prepare(self, original: Recommender, setting: Setting) -> ShardState:
        """Partition, all shards, first combiner. Raises ``InputError`` where shards get too small."""
        options, data = self.options, setting.data
        state = trained_shards(self._partition(original, setting), setting, options.shard_epochs)
        ensemble = self.combined(data, state.partition, state.models(), state.seed)
        fit(ensemble, data, options, state.seed, setting.batch_size)
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
        options = self.options
        seed = setting.generator.initial_seed()
        transport = (options.epsilon, options.rounds, options.sinkhorn_iterations, seed)
        return by_transport(setting.data, frozen(original), options.partition, options.shards, *transport)

    def combined(
        self, data: InteractionData, partition: Partition, models: Mapping[int, Recommender], seed: int
    ) -> ShardEnsemble:
        """See ``ShardMethod``."""
        options = self.options
        combiner: Attention | Weights = Weights(len(models))
        if options.combiner == "attention":
            width = frozen(next(iter(models.values()))).items.shape[1]
            own = torch.Generator().manual_seed(seed)
            combiner = Attention(len(models), width, options.attention_dim, own)
        return ShardEnsemble(data, partition, models, combiner, options.combiner_decay)

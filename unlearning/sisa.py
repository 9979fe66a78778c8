"""SISA: random isolated shards; a request retrains the touched ones from the first slice it touches.

Bourtoule et al., "Machine Unlearning", IEEE S&P 2021: sharded, isolated, sliced, aggregated. For
recommenders as CURE4Rec (arXiv 2408.14393; users) and IFRU's code (pairs) run it.
Before any request (offline):

    partition   users (or pairs), shuffled by the seed into k equal parts, each in r equal slices
    shards      one backbone per part, trained on slice 1, then 1..2, ..., 1..r; r checkpoints are kept

On a request (online): a shard goes back to the checkpoint before the first slice that holds a forgotten pair
and trains on from there without it. Nothing is fitted over the shards. docs/methods/sisa.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from datasets.errors import InputError
from datasets.interactions import InteractionData
from models.base import Recommender
from unlearning.base import Problem, Recorder, Setting, UnlearnResult
from unlearning.combiner import SharedUser, Weights
from unlearning.ensemble import ShardEnsemble
from unlearning.options import ShardOptions
from unlearning.partitions import shuffled
from unlearning.shard_state import ShardMethod
from unlearning.shard_training import ShardState, check_shards, retrained_shards, trained_shards
from unlearning.shards import Partition


@dataclass(frozen=True)
class SISAOptions(ShardOptions):
    """Published: what CURE4Rec and IFRU's code set for recommenders."""

    partition: Literal["user", "interaction"] = "user"
    """What is shuffled into shards. Published: ``user`` (CURE4Rec, k 10), ``interaction`` (IFRU, k 10)."""

    aggregate: Literal["own", "mean", "shared_user"] = "own"
    """``own``: the shard that holds the user scores alone. ``mean``: mean of the scores of the shards that
    hold a pair of the user, the only choice for partition=interaction. ``shared_user``: the user's own row
    against the item rows of every shard, averaged, as the released code of UltraRE and CURE4Rec does."""

    slices: Annotated[int, Field(ge=1)] = 1
    """r, checkpoints within a shard. 1: none beside the model. More need ``shard_epochs``, r times as many
    or a multiple: each slice takes its share of them. Published for recommenders: none."""


class SISA(ShardMethod):
    """Random shards, retrained where touched."""

    Options = SISAOptions
    options: SISAOptions

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` where partition and aggregation, or slices and epochs, do not go together."""
        options = self.options
        check_shards("sisa", options, model, model.num_users)
        if options.partition == "interaction" and options.aggregate != "mean":
            raise InputError(
                f"method.aggregate={options.aggregate} takes the shard of a user, and with "
                "method.partition=interaction a user is in several: set method.aggregate=mean."
            )
        if options.slices > 1 and (options.shard_epochs or 1) % options.slices:
            raise InputError(
                f"method.slices={options.slices} shares method.shard_epochs={options.shard_epochs} out "
                "evenly: set shard_epochs to a multiple of slices."
            )

    def prepare(self, original: Recommender, setting: Setting) -> ShardState:
        """Partition and all shards. Raises ``InputError`` where shards get too small."""
        options = self.options
        seed = setting.generator.initial_seed()
        partition = shuffled(setting.data, options.partition, options.shards, options.slices, seed)
        return trained_shards(partition, setting, options.shard_epochs)

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Retrain the touched shards on the retain set; ``original`` is not used."""
        done = retrained_shards(problem, recorder, self.options.shard_epochs)
        state = done.state
        ensemble = self.combined(problem.retain, problem.prepared.partition, state.models(), state.seed)
        recorder.epoch(ensemble)
        return UnlearnResult(ensemble, notes={**done.notes()}, state=state)

    def combined(
        self, data: InteractionData, partition: Partition, models: Mapping[int, Recommender], seed: int
    ) -> ShardEnsemble:
        """See ``ShardMethod``; nothing is drawn."""
        kind = SharedUser if self.options.aggregate == "shared_user" else Weights
        return ShardEnsemble(data, partition, models, kind(len(models)))

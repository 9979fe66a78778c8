"""Shards and their ensemble as plain tensors, so that a stream of requests outlives an interruption."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from datasets.interactions import InteractionData
from datasets.pairs import PairSet
from models.base import Recommender
from unlearning.base import PreparedState, UnlearningMethod
from unlearning.ensemble import ShardEnsemble
from unlearning.shard_training import Checkpoints, ShardState
from unlearning.shards import Partition


def packed(state: ShardState, ensemble: ShardEnsemble) -> PreparedState:
    """Partition, weights of every checkpoint, and the combiner of what serves."""
    partition, kept = state.partition, [(s, upto) for s, own in state.checkpoints.items() for upto in own]
    tensors = {
        "partition.keys": partition.pairs.keys,
        "partition.labels": partition.labels,
        "partition.slices": partition.slice_labels,
    }
    for shard, upto in kept:
        own = state.checkpoints[shard][upto].state_dict()
        tensors |= {f"shard-{shard}-{upto}.{name}": value for name, value in own.items()}
    tensors |= {f"combiner.{name}": value for name, value in ensemble.combiner.state_dict().items()}
    figures = {"shards": partition.shards, "slices": partition.slices, "kept": kept, "seed": state.seed}
    return PreparedState(tensors, figures)


def unpacked(state: PreparedState, blank: Recommender) -> ShardState:
    """The state as it was. ``blank`` is an untrained backbone of the same build."""
    figures, tensors = state.figures, state.tensors
    keys = tensors["partition.keys"]
    pairs = PairSet(torch.stack([keys // blank.num_items, keys % blank.num_items]), blank.num_items)
    own = tensors["partition.labels"], tensors["partition.slices"], figures["slices"]
    made: dict[int, Checkpoints] = {shard: {} for shard in range(figures["shards"])}
    for shard, upto in figures["kept"]:
        model = copy.deepcopy(blank)
        model.load_state_dict(_below(state, f"shard-{shard}-{upto}."))
        made[shard][upto] = model
    return ShardState(Partition(figures["shards"], pairs, *own), made, figures["seed"])


def load_combiner(ensemble: ShardEnsemble, state: PreparedState) -> None:
    """Give a fresh ensemble the combiner that was kept."""
    ensemble.combiner.load_state_dict(_below(state, "combiner."))


def _below(state: PreparedState, prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, by the rest of their names."""
    return {
        name.removeprefix(prefix): value for name, value in state.tensors.items() if name.startswith(prefix)
    }


class ShardMethod(UnlearningMethod):
    """A method whose state is a ``ShardState`` and whose model is an ensemble of its shards."""

    @abstractmethod
    def combined(
        self, data: InteractionData, partition: Partition, models: Mapping[int, Recommender], seed: int
    ) -> ShardEnsemble:
        """The ensemble of shard models, bound to ``data``; its combiner is fresh, drawn from ``seed``."""

    def packed(self, model: Recommender, state: Any) -> PreparedState | None:
        """Shards and combiner."""
        assert isinstance(model, ShardEnsemble)
        return packed(state, model)

    def unpacked(
        self, packed: PreparedState, model: Recommender, data: InteractionData
    ) -> tuple[Recommender, Any]:
        """The inverse; ``model`` serves as the build of every shard."""
        state = unpacked(packed, model)
        ensemble = self.combined(data, state.partition, state.models(), state.seed)
        load_combiner(ensemble, packed)
        return ensemble, state

"""An ensemble of shards as plain tensors, so that a stream of requests outlives an interruption."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from datasets.interactions import InteractionData
from datasets.pairs import PairSet
from models.base import Recommender
from unlearning.base import PreparedState
from unlearning.combiner import Attention, Weights
from unlearning.ensemble import ShardEnsemble
from unlearning.shards import Partition


def packed(ensemble: ShardEnsemble) -> PreparedState:
    """Its partition, the weights of its shards and those of its combiner."""
    partition = ensemble.partition
    tensors = {"partition.keys": partition.pairs.keys, "partition.labels": partition.labels}
    for number in ensemble.numbers():
        own = ensemble.shard(number).state_dict()
        tensors |= {f"shard-{number}.{name}": value for name, value in own.items()}
    tensors |= {f"combiner.{name}": value for name, value in ensemble.combiner.state_dict().items()}
    return PreparedState(tensors, {"shards": partition.shards, "numbers": ensemble.numbers()})


def unpacked(
    state: PreparedState,
    data: InteractionData,
    blank: Recommender,
    combiner: Attention | Weights,
    decay: float,
) -> ShardEnsemble:
    """The ensemble as it was, bound to ``data``.

    Args:
        blank: an untrained backbone of the same build.
        combiner: an untrained one of the same shape.
        decay: of the combiner's loss.
    """
    keys, labels = state.tensors["partition.keys"], state.tensors["partition.labels"]
    pairs = PairSet(torch.stack([keys // data.num_items, keys % data.num_items]), data.num_items)
    partition = Partition(state.figures["shards"], pairs, labels)
    models = {}
    for number in state.figures["numbers"]:
        models[number] = copy.deepcopy(blank)
        models[number].load_state_dict(_below(state, f"shard-{number}."))
    combiner.load_state_dict(_below(state, "combiner."))
    return ShardEnsemble(data, partition, models, combiner, decay)


def _below(state: PreparedState, prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, by the rest of their names."""
    return {
        name.removeprefix(prefix): value for name, value in state.tensors.items() if name.startswith(prefix)
    }

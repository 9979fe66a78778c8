"""Shard models before any request, and after one: only shards whose data changed are trained again.

With slices (SISA, Bourtoule et al., IEEE S&P 2021) the model of a shard is trained on its first slice, then
on its first two, and so on; each of these checkpoints is kept, and a request goes back to the one before
the first slice that it touches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from datasets.errors import InputError
from datasets.interactions import InteractionData
from models.base import Recommender
from unlearning.base import Problem, Recorder, Setting, Trained, Workshop
from unlearning.options import ShardOptions
from unlearning.shards import Partition, changed, trains

Checkpoints = dict[int, Recommender]
"""Models of one shard by the last slice they were trained on; empty for a shard that cannot be trained."""


@dataclass(frozen=True)
class ShardState:
    """What a shard method holds between requests: nothing of a pair that is no longer in the data.

    ``checkpoints`` by shard; ``seed`` is that of the combiner, the same before and after every request.
    """

    partition: Partition
    checkpoints: Mapping[int, Checkpoints]
    seed: int

    def models(self) -> dict[int, Recommender]:
        """The model of every shard that has one."""
        return {shard: own[max(own)] for shard, own in self.checkpoints.items() if own}

    def bytes(self) -> int:
        """Size of what is kept: parameters of every checkpoint, the partition's pairs and labels."""
        partition = self.partition
        kept = [partition.pairs.keys, partition.labels, partition.slice_labels]
        for own in self.checkpoints.values():
            kept += [parameter for model in own.values() for parameter in model.parameters()]
        return sum(tensor.numel() * tensor.element_size() for tensor in kept)


@dataclass(frozen=True)
class Retrained:
    """The state after a request, and what was trained again for it."""

    state: ShardState
    touched: int
    trainings: int

    def notes(self) -> dict[str, int]:
        """For the record of the cell."""
        shards = self.state.partition.shards
        return {
            "shards": shards,
            "touched_shards": self.touched,
            "closed_shards": shards - len(self.state.models()),
            "trainings": self.trainings,
            "state_bytes": self.state.bytes(),
        }


def check_shards(name: str, options: ShardOptions, model: Recommender, units: int) -> None:
    """Raise ``InputError`` for more shards than units, or a graph that shards cannot be trained on.

    Args:
        name: of the method.
        units: users, or items, of the data set: what is divided.
    """
    if options.shards > units:
        what = "users" if units == model.num_users else "items"
        raise InputError(
            f"method.shards={options.shards} is more than the {units} {what} of the data set: "
            "ask for fewer shards."
        )
    if options.graph_at_unlearning != "retain":
        raise InputError(
            f"method.graph_at_unlearning={options.graph_at_unlearning} has no meaning for {name}, "
            "whose shards are retrained without the forgotten pairs: set it to retain."
        )


def trained_shards(partition: Partition, setting: Setting, epochs: int | None) -> ShardState:
    """All shards, before any request. Raises ``InputError`` where one is too small, before any is trained."""
    data, every = setting.data, range(partition.shards)
    poor = [shard for shard in every if not trains(partition.part(data, shard))]
    if poor:
        raise InputError(
            f"method.shards={partition.shards} leaves shard {poor[0]} with too few training or validation "
            "pairs to train on: ask for fewer shards."
        )
    made = {shard: train_shard(setting.workshop, partition, data, shard, epochs)[0] for shard in every}
    return ShardState(partition, made, setting.generator.initial_seed())


def retrained_shards(problem: Problem, recorder: Recorder, epochs: int | None) -> Retrained:
    """The shards after the request: touched ones are trained again on the retain set, the others stay.

    Args:
        problem: its ``prepared`` is a ``ShardState``.
        epochs: as ``train_shard``.

    Raises:
        InputError: if no shard is left that can be trained.
    """
    state = problem.prepared
    assert isinstance(state, ShardState)
    # Asked of the shards: what comes from the request before in a stream is an ensemble.
    reads_content = any(model.multimodal for model in state.models().values())
    made, touched, trainings = dict[int, Checkpoints](), 0, 0
    for shard in range(state.partition.shards):
        first = first_touched(state.partition, problem.full, problem.retain, shard, reads_content)
        own = {upto: model for upto, model in state.checkpoints[shard].items() if upto < first}
        if first < state.partition.slices:
            touched += 1
            first = first if own else 0
            own, done = train_shard(
                problem.workshop, state.partition, problem.retain, shard, epochs, own, first
            )
            trainings += len(done)
            for one in done:
                recorder.examples(one.examples, one.steps)
        made[shard] = own
    if not any(made.values()):
        raise InputError(
            f"method.shards={state.partition.shards} leaves no shard with enough pairs to train on after "
            "this request: ask for fewer shards or for a smaller request."
        )
    kept = state.partition.within(problem.retain.train)
    return Retrained(ShardState(kept, made, state.seed), touched, trainings)


def first_touched(
    partition: Partition, before: InteractionData, after: InteractionData, shard: int, reads_content: bool
) -> int:
    """The first slice of a shard whose training would come out differently; ``slices`` if none would."""
    for upto in range(partition.slices):
        was, will_be = (partition.part(data, shard, upto + 1) for data in (before, after))
        if changed(was, will_be, reads_content):
            return upto
    return partition.slices


def train_shard(
    workshop: Workshop,
    partition: Partition,
    data: InteractionData,
    shard: int,
    epochs: int | None,
    kept: Mapping[int, Recommender] | None = None,
    first: int = 0,
) -> tuple[Checkpoints, list[Trained]]:
    """The checkpoints of one shard on ``data`` and the trainings they took; none if it cannot be trained.

    Its seeds follow from the numbers of shard and slice alone.

    Args:
        epochs: of the whole training, the same share for every slice; None, with one slice: as the backbone.
        kept: checkpoints of the slices before ``first``, which is where training starts.
    """
    if not trains(partition.part(data, shard)):
        return {}, []
    made: Checkpoints = dict(kept or {})
    done = []
    for upto in range(first, partition.slices):
        part = partition.part(data, shard, upto + 1)
        if not trains(part):  # so far too little; the next slice begins where this one would have
            continue
        purpose = f"shard {shard}" if partition.slices == 1 else f"shard {shard} up to slice {upto}"
        share = None if epochs is None else epochs // partition.slices
        start = made[max(made)] if made else None
        done.append(workshop.trained(part, purpose, share, start))
        made[upto] = done[-1].model
    return made, done

"""What all shard methods promise: isolation, touched shards alone, and no trace of the order of requests."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from datasets.pairs import PairSet
from tests.unlearning.cells import Tape, TinyWorkshop, private_copy, same, trained, weights
from tests.unlearning.shard_methods import SHARDS, VARIANTS, asked, prepared, served, state_of, variant
from unlearning.base import Problem, UnlearningMethod
from unlearning.shard_training import ShardState, retrained_shards, train_shard

every_variant = pytest.mark.parametrize("name", VARIANTS)


def after(unlearner: UnlearningMethod, task: Problem) -> ShardState:
    """The shards after the request of ``task``."""
    return retrained_shards(task, Tape(), unlearner.options.shard_epochs).state


def models(state: ShardState) -> dict[str, dict[str, Tensor]]:
    return {
        f"{shard} {upto}": weights(model)
        for shard, own in state.checkpoints.items()
        for upto, model in own.items()
    }


def equal(one: dict[str, dict[str, Tensor]], other: dict[str, dict[str, Tensor]]) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name in one if same(one[name], other[name])]


@every_variant
def test_the_training_of_a_shard_sees_no_pair_of_another(name: str) -> None:
    task, workshop = prepared(variant(name))
    partition = state_of(task).partition
    assert sum(partition.sizes()) == task.full.train.shape[1]
    for purpose, data in zip(workshop.asked, workshop.data, strict=True):
        assert partition.of(data.train).eq(int(purpose.split()[1])).all()
        assert torch.isin(data.valid[0], data.train[0]).all()


@every_variant
def test_a_request_in_one_shard_retrains_this_one_alone(name: str) -> None:
    unlearner = variant(name)
    task, workshop = prepared(unlearner)
    task = asked(task, task.full.train[:, 7:8])
    (touched,) = state_of(task).partition.of(task.request.forget).tolist()
    trainings = len(workshop.asked)
    before = models(state_of(task))
    result = served(unlearner, task)
    assert {int(purpose.split()[1]) for purpose in workshop.asked[trainings:]} == {touched}
    assert result.notes["touched_shards"] == 1
    assert result.notes["trainings"] == len(workshop.asked) - trainings > 0
    unchanged = equal(before, models(after(unlearner, task)))
    assert {own.split()[0] for own in unchanged} >= {str(shard) for shard in range(SHARDS)} - {str(touched)}
    assert f"{touched} {state_of(task).partition.slices - 1}" not in unchanged


@every_variant
@pytest.mark.parametrize("backbone", ["lightgcn", "vbpr"])
def test_shards_after_a_request_are_those_of_a_training_from_scratch(name: str, backbone: str) -> None:
    unlearner = variant(name)
    task, _ = prepared(unlearner, backbone)
    state = after(unlearner, task)
    for shard in reversed(range(SHARDS)):  # in another order
        scratch, _ = train_shard(
            TinyWorkshop(backbone),
            state_of(task).partition,
            task.retain,
            shard,
            unlearner.options.shard_epochs,
        )
        assert scratch.keys() == state.checkpoints[shard].keys() != set()
        assert all(same(weights(scratch[upto]), weights(state.checkpoints[shard][upto])) for upto in scratch)


@every_variant
def test_requests_one_after_another_leave_the_shards_of_their_union(name: str) -> None:
    unlearner = variant(name)
    task, _ = prepared(unlearner)
    parts = task.full.train[:, 3::8], task.full.train[:, 5::8], task.full.train[:, 1::16]
    union = after(unlearner, asked(task, torch.cat(parts, dim=1)))
    for order in (parts, parts[::-1]):
        current = task
        for pairs in order:
            current = asked(current, pairs)
            state = after(unlearner, current)
            current = following(current, state)
        assert len(equal(models(union), models(state))) == len(models(state))
        assert torch.equal(state.partition.pairs.keys, union.partition.pairs.keys)
        assert torch.equal(state.partition.labels, union.partition.labels)
        assert state.seed == union.seed


def following(task: Problem, state: ShardState) -> Problem:
    """The task in which the data is what the last request left, and nothing else is known."""
    generator = torch.Generator().manual_seed(task.generator.initial_seed() + 1)
    return replace(task, full=task.retain, prepared=state, generator=generator)


@every_variant
def test_the_state_after_a_request_holds_no_forgotten_pair(name: str) -> None:
    unlearner = variant(name)
    task, _ = prepared(unlearner)
    state = after(unlearner, task)
    left = PairSet(task.retain.train, task.full.num_items)
    assert torch.equal(state.partition.pairs.keys, left.keys)
    assert state.partition.of(task.request.forget).eq(-1).all()
    assert state.bytes() < state_of(task).bytes(), "the same models and fewer pairs"


@every_variant
def test_the_answer_does_not_depend_on_the_generator_of_the_request(name: str) -> None:
    """Nor on what else was drawn: the answer to the union of requests is that to the last of them."""
    unlearner = variant(name)
    task, _ = prepared(unlearner)
    first = served(unlearner, task)
    torch.rand(11)
    second = served(unlearner, replace(task, generator=torch.Generator().manual_seed(99)))
    assert torch.equal(first.model.scores(torch.arange(40)), second.model.scores(torch.arange(40)))


@every_variant
def test_the_full_graph_is_there_for_who_evaluates_on_it(name: str) -> None:
    unlearner = variant(name)
    task, _ = prepared(unlearner)
    model = served(unlearner, task).model.eval()
    before = model.scores(torch.arange(40))
    model.bind(task.full)
    assert not torch.equal(before, model.scores(torch.arange(40)))
    model.bind(task.retain)
    assert torch.equal(before, model.scores(torch.arange(40)))


@every_variant
def test_notes_tell_the_size_of_what_is_kept(name: str) -> None:
    unlearner = variant(name)
    task, _ = prepared(unlearner)
    result = served(unlearner, task)
    floats = sum(
        parameter.numel()
        for own in after(unlearner, task).checkpoints.values()
        for model in own.values()
        for parameter in model.parameters()
    )
    pairs = task.retain.train.shape[1]
    assert result.notes["state_bytes"] == 4 * floats + 3 * 8 * pairs
    assert result.notes["shards"] == SHARDS
    assert result.notes["closed_shards"] == 0


def test_nothing_is_trained_where_nothing_is_asked() -> None:
    unlearner = variant("receraser")
    task, workshop = prepared(unlearner)
    task = asked(task, task.full.train[:, :0])
    trainings = len(workshop.asked)
    result = unlearner.unlearn(private_copy(trained("lightgcn"), task), task, Tape())
    assert len(workshop.asked) == trainings
    assert result.notes["touched_shards"] == 0

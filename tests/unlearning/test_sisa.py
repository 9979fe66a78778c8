"""SISA: slices, and how scores of shards come together."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.config.registry import load_class
from datasets.errors import InputError
from tests.unlearning.cells import Tape, forget_recall, problem, run, trained
from tests.unlearning.shard_methods import SHARDS, asked, prepared, served, state_of, variant
from unlearning.combiner import SharedUser
from unlearning.ensemble import ShardEnsemble
from unlearning.shard_training import first_touched, retrained_shards


def test_a_request_goes_back_to_the_slice_before_the_first_it_touches() -> None:
    unlearner = variant("sisa in slices", slices=3)
    task, workshop = prepared(unlearner)
    partition = state_of(task).partition
    assert workshop.asked == [
        f"shard {shard} up to slice {upto}" for shard in range(SHARDS) for upto in range(3)
    ]
    assert set(workshop.epochs) == {2}
    late = (partition.labels == 1) & (partition.slice_labels == 2)
    users, items = partition.pairs.users[late], partition.pairs.items[late]
    task = asked(task, torch.stack([users[:1], items[:1]]))
    assert [
        first_touched(partition, task.full, task.retain, shard, reads_content=False)
        for shard in range(SHARDS)
    ] == [3, 2, 3]
    trainings = len(workshop.asked)
    result = served(unlearner, task)
    assert workshop.asked[trainings:] == ["shard 1 up to slice 2"]
    assert workshop.starts[trainings] is state_of(task).checkpoints[1][1]
    assert result.notes["trainings"] == 1


def test_each_slice_starts_from_the_checkpoint_before_and_adds_its_pairs() -> None:
    task, workshop = prepared(variant("sisa in slices"))
    state = state_of(task)
    for shard in range(SHARDS):
        first, second = workshop.data[2 * shard : 2 * shard + 2]
        assert first.train.shape[1] < second.train.shape[1]
        assert torch.equal(second.train, state.partition.part(task.full, shard).train)
        assert workshop.starts[2 * shard] is None
        assert workshop.starts[2 * shard + 1] is state.checkpoints[shard][0]


def test_withdrawn_content_starts_every_slice_of_a_reader_of_content_anew() -> None:
    unlearner = variant("sisa in slices")
    task, _ = prepared(unlearner, "mgcn", "item")
    done = retrained_shards(task, Tape(), 6)
    assert done.touched == SHARDS
    assert done.trainings == 2 * SHARDS


def ensemble(name: str, **options: Any) -> ShardEnsemble:
    unlearner = variant(name, **options)
    task, _ = prepared(unlearner)
    model = served(unlearner, asked(task, task.full.train[:, :0])).model
    assert isinstance(model, ShardEnsemble)
    return model


def test_own_is_the_score_of_the_users_shard() -> None:
    model = ensemble("sisa")
    scores = model.scores(torch.arange(40))
    owner = model.partition.labels[torch.searchsorted(model.partition.pairs.users, torch.arange(40))]
    for user in range(40):
        own = model.shard(int(owner[user])).scores(torch.tensor([user]))
        assert torch.allclose(scores[user], own[0], atol=1e-6)


def test_mean_is_over_the_shards_that_hold_a_pair_of_the_user() -> None:
    model = ensemble("sisa of pairs")
    scores = model.scores(torch.arange(40))
    partition = model.partition
    several = 0
    for user in range(40):
        holding = partition.labels[partition.pairs.users == user].unique().tolist()
        several += 1 < len(holding) < SHARDS
        parts = [model.shard(shard).scores(torch.tensor([user]))[0] for shard in holding]
        assert torch.allclose(scores[user], torch.stack(parts).mean(dim=0), atol=1e-6)
    assert several, "no user tells the mean over his shards from that over all"


def test_shared_user_sets_the_users_row_against_the_items_of_every_shard() -> None:
    model = ensemble("sisa", aggregate="shared_user")
    assert isinstance(model.combiner, SharedUser)
    scores = model.scores(torch.arange(40))
    owner = model.partition.labels[torch.searchsorted(model.partition.pairs.users, torch.arange(40))]
    views = [model.shard(shard).embeddings() for shard in range(SHARDS)]
    for user in range(40):
        row = views[int(owner[user])][0][user]
        expected = torch.stack([items @ row for _, items in views]).mean(dim=0)
        assert torch.allclose(scores[user], expected, atol=1e-6)


def test_it_ranks_what_it_was_trained_on_and_forgets_what_is_asked() -> None:
    task = problem("user")
    before, _, _ = run("original", task=task)
    assert forget_recall(before.model, task) > 0.5
    result, _, _ = run("sisa", task=task, shards=SHARDS, shard_epochs=60)
    assert forget_recall(result.model, task) < 0.5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"partition": "interaction"},
            r"method\.aggregate=own takes the shard .* set method\.aggregate=mean",
        ),
        ({"slices": 2}, r"method\.slices=2 shares method\.shard_epochs=None out evenly: set shard_epochs"),
        ({"slices": 4, "shard_epochs": 6}, "to a multiple of slices"),
        ({"shards": 41}, r"method\.shards=41 is more than the 40 users"),
        ({"graph_at_unlearning": "full"}, "has no meaning for sisa"),
    ],
)
def test_what_does_not_go_together_is_refused_before_training(options: dict[str, Any], sentence: str) -> None:
    kind = load_class("method", "sisa")
    with pytest.raises(InputError, match=sentence):
        kind(kind.Options(**options)).check(trained("lightgcn"))

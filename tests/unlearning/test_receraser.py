"""RecEraser: the vectors its partition sees, and the combiner over final or over ego embeddings."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.config.registry import load_class
from datasets.errors import InputError
from datasets.sampling import Batch
from models.base import Recommender
from tests.unlearning.cells import changed, forget_recall, problem, run, trained, weights
from tests.unlearning.shard_methods import SHARDS, asked, prepared, served, state_of, variant
from unlearning.combiner import Attention
from unlearning.ego_ensemble import EgoEnsemble
from unlearning.ensemble import ShardEnsemble


def untouched(backbone: str = "lightgcn", **options: Any) -> tuple[ShardEnsemble, Any]:
    """The ensemble that serves before any request, its combiner not fitted, and its task."""
    unlearner = variant("receraser", combiner_epochs=0, **options)
    task, _ = prepared(unlearner, backbone)
    model = served(unlearner, asked(task, task.full.train[:, :0]), backbone).model
    assert isinstance(model, ShardEnsemble)
    return model.eval(), task


def test_ego_mixes_the_tables_and_propagates_once_over_all_data() -> None:
    model, task = untouched(aggregate="ego")
    assert isinstance(model, EgoEnsemble)
    shards: list[Recommender] = [model.shard(shard) for shard in range(SHARDS)]
    mixture = []
    for side, count in (("user", 40), ("item", 24)):
        row = 0 if side == "user" else 1
        tables = torch.stack([shard.id_tables()[side] for shard in shards])  # type: ignore[index]
        parts = [task.prepared.partition.part(task.full, shard).train[row] for shard in range(SHARDS)]
        held = torch.stack([torch.bincount(part, minlength=count) > 0 for part in parts]).float()
        mixture.append((tables * (held / held.sum(dim=0))[..., None]).sum(dim=0))
    kind = load_class("backbone", "lightgcn")
    whole = kind(task.full, kind.Options())
    with torch.no_grad():
        whole.user_embedding.copy_(mixture[0])
        whole.item_embedding.copy_(mixture[1])
    expected = whole.embeddings()
    for found, own in zip(model.embeddings(), expected, strict=True):
        assert torch.allclose(found, own, atol=1e-6)


@pytest.mark.parametrize("aggregate", ["ego", "final"])
def test_the_loss_of_a_batch_is_that_of_the_embeddings_and_of_the_maps(aggregate: str) -> None:
    model, _ = untouched(aggregate=aggregate, map_decay=0.5)
    batch = Batch(torch.tensor([5, 6]), torch.tensor([1, 2]), torch.tensor([3, 4]))
    users, items = model.embeddings()
    gap = (users[batch.users] * (items[batch.positives] - items[batch.negatives])).sum(dim=1)
    terms = model.loss(batch)
    assert torch.allclose(terms.ranking, torch.nn.functional.softplus(-gap).mean(), atol=1e-6)
    ones = 2 * SHARDS * 64 / 2  # two sides of identities, nothing in the offsets
    assert torch.allclose(terms.regulariser, torch.tensor(0.5 * ones))


@pytest.mark.parametrize("aggregate", ["ego", "final"])
def test_only_the_combiner_is_fitted_and_it_learns(aggregate: str) -> None:
    unlearner = variant("receraser", aggregate=aggregate, combiner_epochs=8, dropout=0.0)
    task, _ = prepared(unlearner)
    before = {shard: weights(own[0]) for shard, own in state_of(task).checkpoints.items()}
    result, tape, _ = run("receraser", shards=SHARDS, aggregate=aggregate, combiner_epochs=8, dropout=0.0)
    losses = [values["loss/combiner"] for values in tape.curves]
    assert losses[-1] < losses[0]
    moving = {name for name, parameter in result.model.named_parameters() if parameter.requires_grad}
    assert moving
    assert all(name.startswith("combiner.") for name in moving)
    served(unlearner, asked(task, task.full.train[:, :0]))
    for shard, own in state_of(task).checkpoints.items():
        assert not list(changed(before[shard], weights(own[0])))


def test_binding_to_the_retain_graph_takes_the_forgotten_edges_out_of_ego() -> None:
    model, task = untouched(aggregate="ego")
    before = model.embeddings()[0].clone()
    model.bind(task.retain)
    assert not torch.equal(before, model.embeddings()[0])
    model.bind(task.full)
    assert torch.equal(before, model.embeddings()[0])


def test_dropout_acts_while_the_combiner_is_fitted_only() -> None:
    combiner = Attention(2, 64, 8, torch.Generator().manual_seed(0), dropout=0.5)
    views, present = torch.ones(10, 2, 64), torch.ones(10, 2, dtype=torch.bool)
    combiner.train()
    dropped = combiner.users(views, present).eq(0).float().mean()
    assert 0.3 < float(dropped) < 0.7
    combiner.eval()
    assert torch.allclose(combiner.items(views, present), torch.ones(10, 64))


def test_the_partition_sees_the_original_or_a_factorisation() -> None:
    labels = [
        state_of(prepared(variant("receraser", vectors=vectors, wmf_epochs=5))[0]).partition.labels
        for vectors in ("original", "wmf")
    ]
    assert not torch.equal(*labels)


def test_it_ranks_and_forgets() -> None:
    task = problem("user")
    result, _, _ = run("receraser", task=task, shards=SHARDS, shard_epochs=60, unit="user", combiner_epochs=5)
    assert forget_recall(result.model, task) < 0.5
    nothing = asked(task, task.full.train[:, :0])
    before, _, _ = run(
        "receraser", task=nothing, shards=SHARDS, shard_epochs=60, unit="user", combiner_epochs=5
    )
    assert forget_recall(before.model, task) > 0.5


@pytest.mark.parametrize(
    ("backbone", "options", "sentence"),
    [
        ("mgcn", {"aggregate": "ego"}, r"MGCN has: set method\.aggregate=final"),
        ("lightgcn", {"unit": "item", "shards": 25}, r"method\.shards=25 is more than the 24 items"),
        ("lightgcn", {"graph_at_unlearning": "full"}, "has no meaning for receraser"),
    ],
)
def test_what_cannot_work_is_refused_before_training(
    backbone: str, options: dict[str, Any], sentence: str
) -> None:
    kind = load_class("method", "receraser")
    with pytest.raises(InputError, match=sentence):
        kind(kind.Options(**options)).check(trained(backbone))


@pytest.mark.parametrize("method", ["receraser", "ultrare"])
def test_a_combiner_is_fitted_on_training_pairs_unless_told_otherwise(method: str) -> None:
    kind = load_class("method", method)
    assert not kind(kind.Options()).fitted_on_validation
    assert kind(kind.Options(combiner_data="valid")).fitted_on_validation
    task = problem("interaction")
    _, tape, _ = run(method, task=task, shards=SHARDS, combiner_epochs=1, shard_epochs=1)
    combined = task.retain.train.shape[1]
    assert tape.count == 2 * combined, "an epoch of shards, which all lost a pair, and one of the combiner"

"""UltraRE: isolation, exactness of the shards, and what is counted where."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import pytest
import torch

from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.requests import DeletionRequest
from datasets.sampling import Batch
from models.base import Recommender
from tests.unlearning.cells import (
    REGIMES,
    Tape,
    TinyWorkshop,
    forget_recall,
    private_copy,
    problem,
    ready,
    same,
    trained,
    weights,
)
from unlearning.base import Problem, Trained, UnlearnResult
from unlearning.combiner import Attention, Weights
from unlearning.distillation import frozen
from unlearning.ensemble import ShardEnsemble
from unlearning.partitions import by_transport
from unlearning.shard_training import ShardState, train_shard
from unlearning.shards import Partition, changed, trains
from unlearning.ultrare import UltraRE, UltraREOptions

SHARDS = 4


class Watched(TinyWorkshop):
    """Keeps what it was given to train on."""

    def __init__(self, backbone: str) -> None:
        super().__init__(backbone)
        self.data: list[InteractionData] = []
        self.epochs: list[int | None] = []

    def trained(
        self,
        data: InteractionData,
        purpose: str,
        epochs: int | None = None,
        start: Recommender | None = None,
    ) -> Trained:
        self.data.append(data)
        self.epochs.append(epochs)
        return super().trained(data, purpose, epochs, start)


def task_of(
    regime: str = "user", backbone: str = "lightgcn", forget: DeletionRequest | None = None
) -> tuple[Problem, Watched]:
    task, workshop = problem(regime, backbone=backbone), Watched(backbone)
    if forget is not None:
        task = dataclasses.replace(task, request=forget, retain=forget.apply(task.full))
    return dataclasses.replace(task, workshop=workshop), workshop


def method(**options: Any) -> UltraRE:
    return UltraRE(UltraREOptions(**{"shards": SHARDS, **options}))


def unlearn(
    task: Problem, backbone: str = "lightgcn", **options: Any
) -> tuple[UnlearnResult, ShardState, Tape]:
    unlearner, tape = method(**options), Tape()
    task = ready(unlearner, trained(backbone), task)
    result = unlearner.unlearn(private_copy(trained(backbone), task), task, tape)
    return result, task.prepared, tape


def ensemble_of(result: UnlearnResult) -> ShardEnsemble:
    assert isinstance(result.model, ShardEnsemble)
    return result.model


def counted(result: UnlearnResult) -> dict[str, int]:
    return {name: value for name, value in result.notes.items() if name != "state_bytes"}


def interaction(task: Problem, pairs: torch.Tensor) -> DeletionRequest:
    nobody = torch.empty(0, dtype=torch.long)
    return DeletionRequest("interaction", nobody, nobody, pairs)


def one_pair(task: Problem) -> DeletionRequest:
    return interaction(task, task.full.train[:, :1])


@pytest.mark.parametrize("partition", ["user", "interaction"])
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn", "mig_gt"])
def test_every_shard_equals_a_retraining_from_scratch_bit_for_bit(
    regime: str, backbone: str, partition: str
) -> None:
    task, _ = task_of(regime, backbone)
    result, prepared, _ = unlearn(task, backbone, partition=partition)
    ensemble = ensemble_of(result)
    parts = [prepared.partition.part(task.retain, shard) for shard in range(SHARDS)]
    assert ensemble.numbers() == [shard for shard in range(SHARDS) if trains(parts[shard])]
    assert len(ensemble.numbers()) > 1
    for shard in reversed(ensemble.numbers()):  # another order than the method's
        scratch, _ = train_shard(TinyWorkshop(backbone), prepared.partition, task.retain, shard, None)
        assert same(weights(ensemble.shard(shard)), weights(scratch[0]))


def test_only_the_touched_shard_is_retrained_and_the_others_stay_bit_identical() -> None:
    task, _ = task_of()
    task, workshop = task_of(forget=one_pair(task))
    unlearner = method()
    task = ready(unlearner, trained("lightgcn"), task)
    before = {n: weights(task.prepared.checkpoints[n][0]) for n in range(SHARDS)}
    assert workshop.asked == [f"shard {n}" for n in range(SHARDS)]
    result = unlearner.unlearn(private_copy(trained("lightgcn"), task), task, Tape())
    touched = int(task.prepared.partition.of(task.request.forget))
    assert workshop.asked[SHARDS:] == [f"shard {touched}"]
    assert counted(result) == {"shards": SHARDS, "touched_shards": 1, "closed_shards": 0, "trainings": 1}
    for number in range(SHARDS):
        unchanged = same(before[number], weights(ensemble_of(result).shard(number)))
        assert unchanged == (number != touched)


@pytest.mark.parametrize("partition", ["user", "interaction"])
@pytest.mark.parametrize("regime", REGIMES)
def test_no_forgotten_pair_reaches_a_shard_of_the_result(regime: str, partition: str) -> None:
    task, workshop = task_of(regime)
    result, prepared, _ = unlearn(task, partition=partition)
    forgotten = task.request.forget[0] * task.full.num_items + task.request.forget[1]
    touched = {int(purpose.split()[1]) for purpose in workshop.asked[SHARDS:]}
    seen = dict(enumerate(workshop.data[:SHARDS]))
    seen |= dict(zip(sorted(touched), workshop.data[SHARDS:], strict=True))
    for data in seen.values():  # what each shard of the result was trained on
        assert not torch.isin(data.train[0] * data.num_items + data.train[1], forgotten).any()
        assert not task.request.owns(data.valid).any()
    assert set(prepared.partition.of(task.request.forget).tolist()) <= touched
    assert len(ensemble_of(result).numbers()) == SHARDS


def test_the_preparation_does_not_depend_on_the_request() -> None:
    first, second = (ready(method(), trained("lightgcn"), task_of(regime)[0]) for regime in ("user", "item"))
    assert torch.equal(first.prepared.partition.labels, second.prepared.partition.labels)
    for shard in range(SHARDS):
        one, other = (task.prepared.checkpoints[shard][0] for task in (first, second))
        assert same(weights(one), weights(other))
    assert first.prepared.seed == second.prepared.seed


@pytest.mark.parametrize("shards", [3, 4, 7])
def test_partitions_are_balanced_in_their_unit(shards: int) -> None:
    task, _ = task_of()

    def partition(unit: Literal["user", "interaction"]) -> Partition:
        embeddings = frozen(trained("lightgcn"))
        return by_transport(task.full, embeddings, unit, shards, epsilon=0.1, rounds=10, inner=50, seed=0)

    users = partition("user")
    assert torch.equal(users.labels, partition("user").labels)
    per_shard = [len(users.pairs.users[users.labels == s].unique()) for s in range(shards)]
    assert sum(per_shard) == 40, "a user has all pairs in one shard"
    assert max(per_shard) - min(per_shard) <= 1
    sizes = partition("interaction").sizes()
    assert int(sizes.max() - sizes.min()) <= 1


def test_a_pair_that_was_not_partitioned_belongs_to_no_shard() -> None:
    task, _ = task_of()
    partition = ready(method(), trained("lightgcn"), task).prepared.partition
    unknown = torch.tensor([[0, 39], [23, 23]])
    known = task.full.train[0] * task.full.num_items + task.full.train[1]
    unknown = unknown[:, ~torch.isin(unknown[0] * task.full.num_items + unknown[1], known)]
    assert unknown.shape[1] > 0
    assert partition.of(unknown).eq(-1).all()
    assert partition.of(task.full.train).ge(0).all()


def test_a_part_holds_validation_pairs_of_its_own_users_only() -> None:
    task, _ = task_of()
    partition = ready(method(), trained("lightgcn"), task).prepared.partition
    parts = [partition.part(task.full, shard) for shard in range(SHARDS)]
    assert sum(part.valid.shape[1] for part in parts) == task.full.valid.shape[1]
    for part in parts:
        assert torch.isin(part.valid[0], part.train[0]).all()


def test_withdrawn_content_touches_every_shard_of_a_backbone_that_reads_it() -> None:
    task, _ = task_of("item", "mgcn")
    assert unlearn(task, "mgcn")[0].notes["touched_shards"] == SHARDS
    empty = dataclasses.replace(task.full, withdrawn_items=torch.tensor([1]))
    assert changed(task.full, empty, reads_content=True)
    assert not changed(task.full, empty, reads_content=False)


def test_a_shard_that_lost_its_users_is_closed_and_said_so() -> None:
    task, _ = task_of()
    partition = ready(method(), trained("lightgcn"), task).prepared.partition
    users = partition.pairs.users[partition.labels == 0].unique()
    gone = torch.isin(task.full.train[0], users)
    forget = DeletionRequest("user", users, users[:0], task.full.train[:, gone])
    task, workshop = task_of(forget=forget)
    result, _, _ = unlearn(task)
    assert counted(result) == {"shards": SHARDS, "touched_shards": 1, "closed_shards": 1, "trainings": 0}
    assert len(workshop.asked) == SHARDS
    assert ensemble_of(result).numbers() == [1, 2, 3]
    assert torch.isfinite(result.model.scores(torch.arange(40))).all()


def test_a_request_that_leaves_no_shard_is_refused() -> None:
    task, _ = task_of()
    last = task.full.train[:, -1:]
    everything = interaction(task, task.full.train[:, :-1])
    task, _ = task_of(forget=everything)
    assert torch.equal(task.retain.train, last)
    with pytest.raises(InputError, match=r"method\.shards=4 leaves no shard"):
        unlearn(task)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"shards": 41},
            r"method\.shards=41 is more than the 40 users of the data set: ask for fewer",
        ),
        ({"graph_at_unlearning": "full"}, r"method\.graph_at_unlearning=full has no meaning for ultrare"),
    ],
)
def test_what_cannot_work_is_refused_before_training(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        method(**options).check(trained("lightgcn"))
    method(shards=40).check(trained("lightgcn"))


def test_shards_too_small_to_train_are_refused_before_any_is_trained() -> None:
    task, workshop = task_of()
    with pytest.raises(InputError, match=r"method\.shards=40 leaves shard 0 with too few"):
        ready(method(shards=40), trained("lightgcn"), task)
    assert workshop.asked == []


def test_online_examples_are_those_of_touched_shards_and_of_the_combiner() -> None:
    task, _ = task_of()
    task, workshop = task_of(forget=one_pair(task))
    _, _, tape = unlearn(task, combiner_epochs=3, combiner_data="train")
    (retrained,) = workshop.data[SHARDS:]
    assert tape.count == 5 * retrained.train.shape[1] + 3 * task.retain.train.shape[1]
    assert [set(values) for values in tape.curves] == [{"loss/combiner"}] * 3


def test_the_published_three_epochs_are_an_option() -> None:
    task, workshop = task_of()
    unlearn(task, shard_epochs=3)
    assert set(workshop.epochs) == {3}


@pytest.mark.parametrize("combiner", ["attention", "weights"])
@pytest.mark.parametrize("fitted_on", ["train", "valid"])
def test_the_ensemble_ranks_and_forgets(combiner: str, fitted_on: str) -> None:
    task, _ = task_of()
    options = {"combiner": combiner, "combiner_data": fitted_on, "shard_epochs": 60}
    nothing = interaction(task, task.full.train[:, :0])
    before, _, _ = unlearn(task_of(forget=nothing)[0], **options)
    after, _, _ = unlearn(task, **options)
    assert forget_recall(before.model, task) > 0.5
    assert forget_recall(after.model, task) < 0.5


def test_the_combiner_learns_and_nothing_else_moves() -> None:
    task, _ = task_of()
    result, _, tape = unlearn(task, combiner_epochs=8)
    losses = [values["loss/combiner"] for values in tape.curves]
    assert losses[-1] < losses[0]
    model = ensemble_of(result)
    moving = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert moving
    assert all(name.startswith("combiner.") for name in moving)
    listed = {id(p) for modules in model.modules_by_branch().values() for ps in modules.values() for p in ps}
    assert listed == {id(p) for p in model.combiner.parameters()}
    assert model.id_tables() == {}
    assert model.fusion_parameters() == []


def test_shards_stay_in_evaluation_mode() -> None:
    task, _ = task_of(backbone="mig_gt")
    model = ensemble_of(unlearn(task, "mig_gt")[0])
    before = model.scores(torch.arange(5))
    model.train()
    assert model.combiner.training
    assert not any(module.training for module in model.shards.modules())
    model.bind(task.retain)
    assert torch.equal(before, model.scores(torch.arange(5)))


def test_the_loss_of_a_batch_agrees_with_the_embeddings() -> None:
    task, _ = task_of()
    model = ensemble_of(unlearn(task, combiner_decay=0.1)[0])
    batch = Batch(torch.tensor([5, 6]), torch.tensor([1, 2]), torch.tensor([3, 4]))
    users, items = model.embeddings()
    gap = (users[batch.users] * (items[batch.positives] - items[batch.negatives])).sum(dim=1)
    terms = model.loss(batch)
    assert torch.allclose(terms.ranking, torch.nn.functional.softplus(-gap).mean())
    rows = torch.stack([users[batch.users], items[batch.positives], items[batch.negatives]])
    assert torch.allclose(terms.regulariser, 0.1 * rows.square().sum() / (2 * 2))


def test_attention_starts_as_the_mean_of_the_shards_that_are_present() -> None:
    combiner = Attention(3, 4, 8, torch.Generator().manual_seed(0))
    views = torch.randn(5, 3, 4)
    present = torch.tensor([[True, False, True]] * 5)
    expected = (views[:, 0] + views[:, 2]) / 2
    assert torch.allclose(combiner.users(views, present), expected, atol=1e-6)
    noisy = views.clone()
    noisy[:, 1] += 100
    assert torch.equal(combiner.items(noisy, present), combiner.items(views, present))


def test_attention_equals_the_equation() -> None:
    side = Attention(3, 4, 8, torch.Generator().manual_seed(0)).users_side
    with torch.no_grad():
        for parameter in side.parameters():
            parameter.normal_()
    views, present = torch.randn(1, 3, 4), torch.ones(1, 3, dtype=torch.bool)
    logits = torch.stack([side.query @ (side.hidden @ e + side.hidden_bias).relu() for e in views[0]])
    mapped = torch.stack([side.maps[s] @ views[0, s] + side.offsets[s] for s in range(3)])
    assert torch.allclose(side(views, present)[0], logits.softmax(dim=0) @ mapped, atol=1e-5)


def test_weights_combine_the_scores_of_the_shards() -> None:
    combiner = Weights(2)
    with torch.no_grad():
        combiner.logits.copy_(torch.tensor([1.0, -1.0]))
    users, items = torch.randn(3, 2, 4), torch.randn(5, 2, 4)
    present = torch.ones(3, 2, dtype=torch.bool)
    combined = combiner.users(users, present) @ combiner.items(items, present[:1].expand(5, 2)).t()
    beta = torch.tensor([1.0, -1.0]).softmax(dim=0)
    scores = torch.stack([users[:, s] @ items[:, s].t() for s in range(2)])
    assert torch.allclose(combined, (beta[:, None, None] * scores).sum(dim=0), atol=1e-5)


def test_binding_to_the_full_graph_brings_no_weight_back() -> None:
    task, _ = task_of("interaction")
    model: Recommender = unlearn(task)[0].model
    before = weights(model)
    model.bind(task.full)
    assert same(before, weights(model))

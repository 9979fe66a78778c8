"""Partitions: balanced, decided by the seed, and greedy as the sorted list of all scores says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.tiny import tiny_data
from unlearning import greedy_assignment
from unlearning.greedy_assignment import Factor, assigned, greedy_clusters
from unlearning.partitions import Unit, greedy, shuffled, units_of
from unlearning.shards import Partition


def sorted_list(scores: Tensor, capacity: int) -> list[int]:
    """The greedy assignment as published: all (p, j) in order of score, one after another."""
    samples, clusters = scores.shape
    order = sorted((-float(scores[p, j]), p, j) for p in range(samples) for j in range(clusters))
    labels, held = [-1] * samples, [0] * clusters
    for _, p, j in order:
        if labels[p] < 0 and held[j] < capacity:
            labels[p] = j
            held[j] += 1
    return labels


def vectors(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    data = tiny_data()
    return tuple(torch.randn(n, 4, generator=generator) for n in (data.num_users, data.num_items))  # type: ignore[return-value]


@pytest.mark.parametrize("slack", [1.0, 1.2, 9.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_assignment_is_that_of_the_sorted_list(
    slack: float, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(greedy_assignment, "BLOCK", 7)
    scores = -torch.rand(60, 5, generator=torch.Generator().manual_seed(seed)).double()
    scores[:, 0] /= 10  # the cluster that everybody wants
    capacity = math.ceil(slack * 60 / 5)
    found = assigned(lambda rows: scores[rows], 60, 5, capacity)
    assert found.tolist() == sorted_list(scores, capacity)


def test_one_round_scores_by_the_product_of_both_distances() -> None:
    users, items = vectors()
    pairs = units_of(tiny_data(), "interaction")
    assert pairs.users is not None
    assert pairs.items is not None
    factors = [Factor.of(users, pairs.users), Factor.of(items, pairs.items)]
    labels = greedy_clusters(factors, 4, 1, 1.2, torch.Generator().manual_seed(3))
    first = torch.randperm(pairs.size, generator=torch.Generator().manual_seed(3))[:4]
    own, theirs = users[pairs.users].double(), items[pairs.items].double()
    scores = -torch.stack(
        [(own - own[p]).square().sum(1) * (theirs - theirs[p]).square().sum(1) for p in first], dim=1
    )
    assert labels.tolist() == sorted_list(scores, math.ceil(1.2 * pairs.size / 4))


def test_anchors_move_to_mean_vectors() -> None:
    """Two groups far apart are found whatever the first anchors were; a mean over the entries would not tell
    them apart, since both groups have the same."""
    far = torch.tensor([10.0, -10.0])
    points = torch.cat([far.repeat(30, 1), -far.repeat(30, 1)]) + 0.01 * torch.arange(60)[:, None]
    for seed in range(4):
        labels = greedy_clusters(
            [Factor.of(points, torch.arange(60))], 2, 50, 1.0, torch.Generator().manual_seed(seed)
        )
        assert len(labels[:30].unique()) == len(labels[30:].unique()) == 1


@pytest.mark.parametrize("unit", ["user", "item", "interaction"])
def test_greedy_shards_hold_whole_units_within_their_capacity(unit: Unit) -> None:
    data = tiny_data()
    partition = greedy(data, vectors(), unit, 4, 50, 1.2, seed=0)
    units = units_of(data, unit)
    labels = torch.full((units.size,), -1)
    labels[units.row] = partition.labels
    assert torch.equal(labels[units.row], partition.labels), "a unit is in one shard"
    assert int(torch.bincount(labels, minlength=4).max()) <= math.ceil(1.2 * units.size / 4)
    again = greedy(data, vectors(), unit, 4, 50, 1.2, seed=0)
    assert torch.equal(partition.labels, again.labels)
    assert not torch.equal(partition.labels, greedy(data, vectors(), unit, 4, 50, 1.2, seed=1).labels)


@pytest.mark.parametrize("unit", ["user", "interaction"])
@pytest.mark.parametrize("slices", [1, 3])
def test_shuffled_shards_and_slices_are_even_and_decided_by_the_seed(unit: Unit, slices: int) -> None:
    data = tiny_data()
    partition = shuffled(data, unit, 4, slices, seed=0)
    units = units_of(data, unit)
    labels, parts = torch.full((2, units.size), -1)
    labels[units.row], parts[units.row] = partition.labels, partition.slice_labels
    assert torch.equal(labels[units.row], partition.labels)
    sizes = torch.bincount(labels * slices + parts, minlength=4 * slices)
    assert int(sizes.max() - sizes.min()) <= 1
    assert same_labels(partition, shuffled(data, unit, 4, slices, seed=0))
    assert not same_labels(partition, shuffled(data, unit, 4, slices, seed=1))


def same_labels(one: Partition, other: Partition) -> bool:
    return torch.equal(one.labels, other.labels) and torch.equal(one.slice_labels, other.slice_labels)


def test_a_partition_within_fewer_pairs_holds_no_other_and_keeps_the_labels() -> None:
    data = tiny_data()
    partition = shuffled(data, "interaction", 4, 2, seed=0)
    kept = data.train[:, ::3]
    within = partition.within(kept)
    assert torch.equal(within.pairs.keys, torch.sort(kept[0] * data.num_items + kept[1]).values)
    assert torch.equal(within.of(kept), partition.of(kept))
    assert within.of(data.train[:, 1::3]).eq(-1).all()
    for shard in range(4):
        for upto in (1, 2):
            smaller = within.part(data, shard, upto).train
            whole = partition.part(data, shard, upto).train
            there = within.pairs.contains(*whole)
            assert torch.equal(smaller, whole[:, there])

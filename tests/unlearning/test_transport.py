"""Balanced clustering: the plan's marginals, the sizes, and that near points stay together."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from unlearning.transport import TOLERANCE, balanced_clusters, filled, log_plan


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clustered(points: Tensor, clusters: int, seed: int = 0) -> Tensor:
    return balanced_clusters(points, clusters, epsilon=0.1, rounds=10, inner=200, generator=generator(seed))


@pytest.mark.parametrize(("samples", "clusters"), [(40, 10), (43, 10), (7, 7), (100, 3)])
def test_sizes_differ_by_one_at_most(samples: int, clusters: int) -> None:
    points = torch.randn(samples, 5, generator=generator())
    sizes = torch.bincount(clustered(points, clusters), minlength=clusters)
    assert int(sizes.sum()) == samples
    assert int(sizes.max() - sizes.min()) <= 1


def test_the_same_seed_gives_the_same_labels_and_another_others() -> None:
    points = torch.randn(60, 5, generator=generator(1))
    assert torch.equal(clustered(points, 4), clustered(points, 4))
    assert not torch.equal(clustered(points, 4), clustered(points, 4, seed=1))


def test_identical_points_are_shared_out_evenly() -> None:
    sizes = torch.bincount(clustered(torch.ones(20, 3), 4), minlength=4)
    assert sizes.tolist() == [5] * 4


def test_separate_blobs_of_equal_size_are_found() -> None:
    centres = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]]).repeat_interleave(10, dim=0)
    points = centres + 0.1 * torch.randn(30, 2, generator=generator())
    for start in range(5):  # random starts may merge two blobs at first; the capacity pulls them apart
        labels = clustered(points, 3, seed=start).reshape(3, 10)
        if all(len(row.unique()) == 1 for row in labels):
            return
    raise AssertionError("no start found the blobs")


@pytest.mark.parametrize("epsilon", [1.0, 0.1, 0.01])
def test_the_plan_has_uniform_marginals(epsilon: float) -> None:
    cost = torch.rand(30, 4, dtype=torch.float64, generator=generator())
    plan, _ = log_plan(cost, epsilon, 5000, torch.zeros(4, dtype=torch.float64))
    assert torch.allclose(plan.exp().sum(dim=0), torch.full((4,), 0.25, dtype=torch.float64))
    rows = plan.exp().sum(dim=1) * 30
    assert (rows - 1).square().mean().sqrt() < TOLERANCE


def test_a_large_epsilon_spreads_the_mass_and_a_small_one_concentrates_it() -> None:
    cost = torch.rand(30, 4, dtype=torch.float64, generator=generator())
    start = torch.zeros(4, dtype=torch.float64)
    wide, sharp = (log_plan(cost, epsilon, 2000, start)[0].exp().amax(dim=1) for epsilon in (100.0, 0.01))
    assert torch.allclose(wide, torch.full_like(wide, 1 / 120), rtol=0.02)
    assert sharp.mean() > 2.5 / 120


def test_who_prefers_a_full_cluster_most_gets_it() -> None:
    preference = torch.tensor([[3.0, 0.0], [2.0, 1.0], [1.0, 0.5], [2.5, 0.0]])
    assert filled(preference).tolist() == [0, 1, 1, 0]


def test_a_plan_that_starts_where_another_ended_is_there_at_once() -> None:
    cost = torch.rand(30, 4, dtype=torch.float64, generator=generator())
    plan, ended = log_plan(cost, 0.1, 500, torch.zeros(4, dtype=torch.float64))
    again, _ = log_plan(cost, 0.1, 1, ended)
    far, _ = log_plan(cost, 0.1, 1, torch.zeros(4, dtype=torch.float64))
    assert (again - plan).abs().max() < 10 * TOLERANCE < (far - plan).abs().max()


def test_labels_are_the_same_for_any_number_of_threads() -> None:
    points = torch.randn(3000, 16, generator=generator(2))
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(clustered(points, 7))
    assert torch.equal(*found)

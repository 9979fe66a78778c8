"""Distances to gold on lists and scores whose distance is known."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.spatial.distance import jensenshannon

from bench.measure.compare import distance_to_gold, js_divergence, rank_biased_overlap, shared_by_depth
from datasets.pairs import PairIndex


def test_js_divergence_agrees_with_scipy() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 5, 30, generator=generator)
    expected = [
        jensenshannon(p, q) ** 2 for p, q in zip(a.softmax(1).numpy(), b.softmax(1).numpy(), strict=True)
    ]
    assert js_divergence(a, b).tolist() == pytest.approx(expected, abs=1e-6)


def test_js_divergence_of_disjoint_distributions_is_ln_2() -> None:
    a = torch.tensor([[100.0, 0.0]])
    assert float(js_divergence(a, a.flip(1))) == pytest.approx(math.log(2), abs=1e-6)


def test_overlap_by_depth_and_rbo() -> None:
    ours, theirs = torch.tensor([[4, 1, 2]]), torch.tensor([[1, 4, 9]])
    everything = torch.ones(1, 3, dtype=torch.bool)
    shared = shared_by_depth(ours, everything, theirs, everything)
    assert shared.tolist() == [[0.0, 2.0, 2.0]]
    expected = (0.9 * 1.0 + 0.81 * 2 / 3) / (1 + 0.9 + 0.81)
    assert float(rank_biased_overlap(shared, torch.tensor([3]))) == pytest.approx(expected)
    shorter = (0.9 * 1.0) / (1 + 0.9)
    assert float(rank_biased_overlap(shared, torch.tensor([2]))) == pytest.approx(shorter)


def test_distance_of_a_model_to_itself_is_nothing() -> None:
    scores = torch.randn(6, 40, generator=torch.Generator().manual_seed(1))
    masked = PairIndex(torch.tensor([[0, 1], [3, 4]]), 6, 40)
    distance = distance_to_gold(
        lambda ids: scores[ids].clone(), lambda ids: scores[ids].clone(), torch.arange(6), masked, 100
    )
    assert distance == {
        "overlap_at_20": 1.0,
        "rbo_at_20": pytest.approx(1.0),
        "js_divergence": pytest.approx(0, abs=1e-9),
    }

"""Distances to gold on lists and scores whose distance is known."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.spatial.distance import jensenshannon

from bench.measure.compare import distance_to_gold, js_divergence, padded
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


def test_what_could_not_be_ranked_is_padding() -> None:
    items, valid = torch.tensor([[4, 1, 2]]), torch.tensor([[True, True, False]])
    assert padded(items, valid).tolist() == [[4, 1, -1]]


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

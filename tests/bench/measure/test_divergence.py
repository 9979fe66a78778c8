"""The divergence between two models' scores, where it is known."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.spatial.distance import jensenshannon

from bench.measure.one_pass import js_divergence


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


def test_js_divergence_of_the_same_scores_is_nothing() -> None:
    scores = torch.randn(6, 40, generator=torch.Generator().manual_seed(1))
    assert js_divergence(scores, scores.clone()).tolist() == pytest.approx([0.0] * 6, abs=1e-7)

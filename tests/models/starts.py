"""Whether a tensor looks drawn from a distribution: its deviation, and how far its largest entry lies out."""

from __future__ import annotations

import pytest
from torch import Tensor


def check_normal(drawn: Tensor, deviation: float, rel: float = 0.05) -> None:
    """Mean zero, this standard deviation, and entries beyond three of it, which no uniform one has."""
    assert drawn.std().item() == pytest.approx(deviation, rel=rel)
    assert abs(drawn.mean().item()) < 5 * deviation / drawn.numel() ** 0.5
    assert drawn.abs().max().item() > 3 * deviation


def check_uniform(drawn: Tensor, bound: float, rel: float = 0.05) -> None:
    """Mean zero, within this bound and nearly reaching it, and the deviation that follows."""
    assert drawn.std().item() == pytest.approx(bound / 3**0.5, rel=rel)
    assert abs(drawn.mean().item()) < 5 * bound / drawn.numel() ** 0.5
    assert 0.95 * bound < drawn.abs().max().item() <= bound

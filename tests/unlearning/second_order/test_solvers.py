"""Solvers against a direct solve, and what each says where it cannot solve."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from unlearning.second_order.solvers import (
    Solution,
    System,
    adam_p,
    conjugate_gradients,
    largest_eigenvalue,
    mean_diagonal,
    neumann,
    neumann_scale,
)


def positive(size: int = 20) -> Tensor:
    torch.manual_seed(0)
    root = torch.randn(size, size)
    return root @ root.t() / size


MATRIX, G, DAMPING = positive(), torch.linspace(-1, 2, 20), 0.1
DIRECT = torch.linalg.solve(MATRIX + DAMPING * torch.eye(20), G)


def system(matrix: Tensor = MATRIX, iterations: int = 400, tolerance: float = 1e-6) -> System:
    return System(lambda v: matrix @ v, G, DAMPING, tolerance, iterations)


def true_residual(solution: Solution, matrix: Tensor = MATRIX) -> float:
    return float((G - matrix @ solution.x - DAMPING * solution.x).norm() / G.norm())


def test_conjugate_gradients_agree_with_a_direct_solve() -> None:
    solution = conjugate_gradients(system())
    assert torch.allclose(solution.x, DIRECT, atol=1e-4)
    assert solution.stopped_by == "tolerance"
    assert solution.iterations <= 40
    assert solution.residual == pytest.approx(true_residual(solution), abs=1e-5)


def test_the_neumann_series_agrees_with_a_direct_solve() -> None:
    scale = neumann_scale(lambda v: MATRIX @ v, G, DAMPING, torch.Generator().manual_seed(0))
    top = float(torch.linalg.eigvalsh(MATRIX)[-1]) + DAMPING
    assert 0.9 * top < scale < 1.3 * top
    solution = neumann(system(tolerance=1e-5), scale)
    assert torch.allclose(solution.x, DIRECT, atol=1e-2)
    assert solution.residual == pytest.approx(true_residual(solution), abs=1e-5)


def test_five_steps_of_the_series_are_its_first_five_terms() -> None:
    """delta = (1/s) sum_k (I - (C + damping I) / s)^k g: the curvature is in every term but the first."""
    scale, damped = 10.0, MATRIX + DAMPING * torch.eye(20)
    expected, term = torch.zeros(20), G / scale
    for _ in range(5):
        expected, term = expected + term, term - damped @ term / scale
    assert torch.allclose(neumann(system(iterations=5), scale).x, expected, atol=1e-6)


def test_a_series_that_runs_away_is_stopped_and_says_so() -> None:
    solution = neumann(system(), scale=0.05)
    assert solution.stopped_by == "divergence"
    assert solution.iterations < 20
    assert solution.residual <= 1
    assert torch.isfinite(solution.x).all()


def test_adam_on_the_solution_comes_near_and_keeps_the_least_residual() -> None:
    solution = adam_p(system(iterations=3000, tolerance=1e-3), rate=0.05)
    assert solution.residual == pytest.approx(true_residual(solution), abs=1e-5)
    assert solution.residual < 0.05
    coarse = adam_p(system(iterations=50), rate=1e4)
    assert coarse.residual <= 1


def test_conjugate_gradients_stop_at_curvature_that_is_not_positive() -> None:
    signs = torch.ones(20)
    signs[:4] = -1
    indefinite = torch.diag(signs * torch.linspace(1, 3, 20))
    solution = conjugate_gradients(system(indefinite))
    assert solution.stopped_by == "non_positive_curvature"
    assert torch.isfinite(solution.x).all()


def test_no_right_side_is_solved_at_once() -> None:
    still = System(lambda v: MATRIX @ v, torch.zeros(20), DAMPING, 1e-6, 10)
    for solution in (conjugate_gradients(still), neumann(still, 1.0)):
        assert not solution.x.any()
        assert solution.iterations == 0


def test_estimates_of_the_spectrum() -> None:
    generator = torch.Generator().manual_seed(0)
    top = float(torch.linalg.eigvalsh(MATRIX)[-1])
    assert largest_eigenvalue(lambda v: MATRIX @ v, G, generator) == pytest.approx(top, rel=0.1)
    trace = float(MATRIX.trace()) / 20
    assert mean_diagonal(lambda v: MATRIX @ v, G, generator, probes=400) == pytest.approx(trace, rel=0.1)
    diagonal = torch.diag(torch.arange(20.0))  # of a diagonal matrix every probe is exact
    assert mean_diagonal(lambda v: diagonal @ v, G, generator, probes=1) == pytest.approx(9.5)

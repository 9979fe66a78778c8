"""Solvers of (C + damping I) x = g that need products with C alone, and what they say about themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from unlearning.second_order.coordinates import dot, norm

Product = Callable[[Tensor], Tensor]
"""C v of a vector v, both [size]."""
POWER_ITERATIONS = 20
"""At most so many to find the largest eigenvalue."""
_SETTLED = 1e-2
"""Relative change of the eigenvalue at which they end."""
_HEADROOM = 1.1
"""Power iterations come from below."""
_RUNAWAY = 10.0
"""Growth of the residual, from its least value, that counts as divergence."""


class Solution(NamedTuple):
    """``x`` [size], its residual |g - (C + damping I) x| / |g|, the iterations made and what ended them."""

    x: Tensor
    residual: float
    iterations: int
    stopped_by: str


@dataclass(frozen=True)
class System:
    """(C + damping I) x = g; solved to the relative residual ``tolerance`` in at most ``iterations``."""

    product: Product
    g: Tensor
    damping: float
    tolerance: float
    iterations: int

    def damped(self, vector: Tensor) -> Tensor:
        """(C + damping I) v."""
        return self.product(vector) + self.damping * vector


def conjugate_gradients(system: System) -> Solution:
    """Conjugate gradients (Hestenes and Stiefel, 1952) from x = 0.

    Where a direction has no positive curvature the system has no minimum: it stops there, keeps the iterate
    before and says ``non_positive_curvature``.
    """
    x, residual = torch.zeros_like(system.g), system.g.clone()
    direction, square = residual.clone(), dot(residual, residual)
    start = square**0.5
    for iteration in range(system.iterations):
        if square**0.5 <= system.tolerance * start:
            return Solution(x, _ratio(square**0.5, start), iteration, "tolerance")
        bent = system.damped(direction)
        curvature = dot(direction, bent)
        if curvature <= 0:
            return Solution(x, _ratio(square**0.5, start), iteration, "non_positive_curvature")
        length = square / curvature
        x = x + length * direction
        residual = residual - length * bent
        before, square = square, dot(residual, residual)
        direction = residual + (square / before) * direction
    return Solution(x, _ratio(square**0.5, start), system.iterations, "iterations")


def neumann(system: System, scale: float) -> Solution:
    """The Neumann series x <- x + (g - (C + damping I) x) / scale, from x = 0 (GIF's recursion, h / scale).

    It converges where ``scale`` is above half the largest eigenvalue and none is negative. Where the
    residual runs away the iterate of the least residual is kept, and it says ``divergence``.
    """
    if scale <= 0:  # no curvature in any direction tried, and no damping: there is nothing to solve
        return Solution(torch.zeros_like(system.g), 1.0, 0, "no_curvature")
    return _iterated(system, lambda x, residual: x + residual / scale)


def adam_p(system: System, rate: float) -> Solution:
    """Adam on x with the gradient (C + damping I) x - g, from x = 0: the solver of IFRU's released code.

    ``rate`` is the length of its first step in each coordinate. The iterate of the least residual is kept
    (released: that of the best validation AUC, which solves another problem).
    """
    first, second = torch.zeros_like(system.g), torch.zeros_like(system.g)
    count = 0

    def step(x: Tensor, residual: Tensor) -> Tensor:
        nonlocal count
        count += 1
        first.mul_(0.9).add_(residual, alpha=0.1)
        second.mul_(0.999).addcmul_(residual, residual, value=0.001)
        mean, square = first / (1 - 0.9**count), second / (1 - 0.999**count)
        # Adam's epsilon in units of g, whose entries may be far below the usual 1e-8.
        direction: Tensor = mean / (square.sqrt() + 1e-8 * norm(system.g) / len(system.g) ** 0.5)
        return x + rate * direction

    return _iterated(system, step, runaway=None)


def _iterated(
    system: System, step: Callable[[Tensor, Tensor], Tensor], runaway: float | None = _RUNAWAY
) -> Solution:
    """Repeat ``step`` of iterate and residual; the iterate of the least residual."""
    x, residual = torch.zeros_like(system.g), system.g.clone()
    start = norm(system.g)
    best = Solution(x, _ratio(start, start), 0, "iterations")
    for iteration in range(system.iterations):
        if best.residual <= system.tolerance:
            return best._replace(iterations=iteration, stopped_by="tolerance")
        x = step(x, residual)
        residual = system.g - system.damped(x)
        size = _ratio(norm(residual), start)
        if size < best.residual:
            best = best._replace(x=x, residual=size)
        elif not size < (runaway or float("inf")) * best.residual:  # not a number runs away as well
            return best._replace(iterations=iteration + 1, stopped_by="divergence")
    return best._replace(iterations=system.iterations)


def largest_eigenvalue(product: Product, like: Tensor, generator: torch.Generator) -> float:
    """Size of the eigenvalue of C that is farthest from zero, by at most ``POWER_ITERATIONS`` products."""
    vector = torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    size = 0.0
    for _ in range(POWER_ITERATIONS):
        vector = vector / norm(vector)
        bent = product(vector)
        before, size = size, norm(bent)
        if size == 0 or abs(size - before) <= _SETTLED * size:
            break
        vector = bent
    return size


def neumann_scale(product: Product, like: Tensor, damping: float, generator: torch.Generator) -> float:
    """A scale at which the Neumann series converges where C is positive semi-definite."""
    return _HEADROOM * (largest_eigenvalue(product, like, generator) + damping)


def mean_diagonal(product: Product, like: Tensor, generator: torch.Generator, probes: int = 4) -> float:
    """trace(C) / size, by Hutchinson's estimate over random signs; 0 where it comes out below."""
    total = 0.0
    for _ in range(probes):
        ones = torch.randint(2, like.shape, generator=generator, device=like.device)
        signs = (2 * ones - 1).to(like)
        total += dot(signs, product(signs))
    return max(total / (probes * len(like)), 0.0)


def _ratio(size: float, start: float) -> float:
    """A relative residual; nothing is left of a system whose right side is zero."""
    return size / start if start else 0.0

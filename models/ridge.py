"""The inverse of a regularised Gram matrix, and what it is after rows or columns of the data are gone.

With X [m, n], G = X^T X and P = (G + l2 I)^-1 (all float64):

    Sherman and Morrison   a row x goes        P + P x (1 - x^T P x)^-1 x^T P
    Woodbury               rows B become A     P - P U^T (C + U P U^T)^-1 U P,
                                               U = [B; A],  C = diag(-1 for B, +1 for A)
    Schur complement       columns S are 0     P_rr - P_rS P_SS^-1 P_Sr on the rest, 1 / l2 on S

All of these are exact but for rounding: no step depends on how P came to be.
"""

from __future__ import annotations

import torch
from torch import Tensor


def ridge_inverse(gram: Tensor, l2: float) -> Tensor:
    """P from G [n, n]: float64 [n, n]."""
    regular = gram.to(torch.float64, copy=True)
    regular.diagonal().add_(l2)
    factor: Tensor = torch.linalg.cholesky(regular)
    return torch.cholesky_inverse(factor)


def with_rows_changed(inverse: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """P after rows ``before`` [b, n] of X became ``after`` [b, n]; for one row and nothing after, rank one.

    Rows without an entry do not count. Costs 4 b n^2 multiplications, and a solve of at most 2 b unknowns.
    """
    changed = torch.cat([before, after])
    signs = torch.cat([-before.new_ones(len(before)), after.new_ones(len(after))])
    filled = changed.any(dim=1)
    changed, signs = changed[filled], signs[filled]
    projected = changed @ inverse
    inner = torch.diag(signs) + projected @ changed.t()
    solved: Tensor = torch.linalg.solve(inner, projected)
    return inverse - projected.t() @ solved


def with_columns_emptied(inverse: Tensor, columns: Tensor, l2: float) -> Tensor:
    """P after the columns [s] of X lost every entry."""
    if not len(columns):
        return inverse
    across = inverse[columns]
    left: Tensor = inverse - across.t() @ torch.linalg.solve(across[:, columns], across)
    left[columns], left[:, columns] = 0.0, 0.0
    left[columns, columns] = 1 / l2
    return left

"""Torch's sparse matrices in compressed rows (CSR), made in one place."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor


def csr_tensor(
    starts: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int] | torch.Size, check: bool = False
) -> Tensor:
    """The CSR with rows ``starts`` [n + 1], ``columns`` [E] and ``values`` [E]: sparse [n, m].

    Torch warns at the first use in a process that its CSR kernels may change; nothing follows from it here.

    Args:
        check: whether torch looks at every index first, for arrays that come from elsewhere.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(starts, columns, values, size=size, check_invariants=check)

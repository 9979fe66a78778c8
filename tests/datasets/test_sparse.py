"""CSR tensors are made without torch's warning, and looked at where that is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from datasets.sparse import csr_tensor

ONE = torch.ones(1)


def test_the_matrix_is_the_one_that_was_meant() -> None:
    made = csr_tensor(
        torch.tensor([0, 1, 1, 3]), torch.tensor([1, 0, 3]), torch.tensor([2.0, 3.0, 4.0]), (3, 4)
    )
    assert made.to_dense().tolist() == [[0, 2, 0, 0], [0, 0, 0, 0], [3, 0, 0, 4]]


def test_wrong_indices_are_refused_where_they_are_looked_at() -> None:
    with pytest.raises(RuntimeError, match="col_indices"):
        csr_tensor(torch.tensor([0, 1]), torch.tensor([7]), ONE, (1, 4), check=True)


def test_torch_warns_of_no_kernel_that_may_change() -> None:
    """In a process of its own: torch warns at the first use alone."""
    code = (
        "import warnings; warnings.simplefilter('error');"
        "import torch; from datasets.sparse import csr_tensor;"
        "csr_tensor(torch.tensor([0, 1]), torch.tensor([0]), torch.ones(1), (1, 1))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

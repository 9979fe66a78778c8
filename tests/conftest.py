"""What holds for every test: one CPU thread each, because the tests themselves run side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator

from bench.machine.process import prepare_process

# Before torch is imported, and for child processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
prepare_process(deterministic=True)

import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """One thread, put back after a test that changes it."""
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)

"""What a process must set before torch is imported, and what it can then promise about equal bits.

Importing this module does not import torch. What is set is read by the libraries under torch at their first
use, so the commands themselves set it (``python -m bench``, ``python -m bench.tune``), every job that a
launcher starts in another process, and ``tests/conftest.py``. What it leads to is measured, not assumed.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

BIT_EQUAL_PRODUCTS = "AUTO,STRICT"
"""For MKL's dense products: the same bits for any number of threads, on the best instructions there are."""
SHAPES = ((64, 64, 64), (511, 333, 64), (1024, 384, 64), (2048, 64, 2048), (64, 4099, 384), (300, 4096, 64))
"""Rows, inner size and columns of the products compared: small and odd, wide features, a contrast."""
THREADS = (1, 2, 3, 4)


def prepare_process(deterministic: bool) -> None:
    """Set what holds for every process, and what ``run.deterministic=true`` needs; what is set already stays.

    Threads that wait in a loop starve each other as soon as one core is busy with something else: a training
    step was seen to take 40 times as long. MKL chooses the order of its sums by the number of threads unless
    it is told not to: on an Intel Xeon the weights of one and of four threads differed in their last bits.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if deterministic:
        os.environ.setdefault("MKL_CBWR", BIT_EQUAL_PRODUCTS)


@cache
def products_are_thread_invariant() -> bool:
    """Whether dense float32 products on the CPU have the same bits on one to four threads in this process.

    Covers forward and both backward products of ``SHAPES``; takes some milliseconds and leaves the number of
    threads as it was. It finds machines on which ``MKL_CBWR`` was needed and not set before torch was
    imported; it does not prove that every product of every shape is the same.
    """
    import torch

    before = torch.get_num_threads()
    try:
        found = [_products(threads) for threads in THREADS]
    finally:
        torch.set_num_threads(before)
    return all(_same(found[0], other) for other in found[1:])


def _products(threads: int) -> list[Tensor]:
    import torch

    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    made: list[Tensor] = []
    for rows, inner, columns in SHAPES:
        left = torch.randn(rows, inner, generator=generator)
        right = torch.randn(inner, columns, generator=generator)
        product = left @ right
        made += [product, product @ right.t(), left.t() @ product]
    return made


def _same(first: list[Tensor], second: list[Tensor]) -> bool:
    import torch

    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))

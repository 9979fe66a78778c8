"""What this process can promise about equal bits, measured on dense products rather than assumed."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

SHAPES = ((64, 64, 64), (511, 333, 64), (1024, 384, 64), (2048, 64, 2048), (64, 4099, 384), (300, 4096, 64))
"""Rows, inner size and columns of the products compared: small and odd, wide features, a contrast."""
THREADS = (1, 2, 3, 4)


@cache
def products_are_thread_invariant() -> bool:
    """Whether dense float32 products on the CPU have the same bits on one to four threads in this process.

    Covers forward and both backward products of ``SHAPES``; takes some milliseconds and leaves the number of
    threads as it was. It finds machines on which ``MKL_CBWR`` was needed and not set before torch was
    imported; it does not prove that every product of every shape is the same.
    """
    before = torch.get_num_threads()
    try:
        found = [_products(threads) for threads in THREADS]
    finally:
        torch.set_num_threads(before)
    return all(_same(found[0], other) for other in found[1:])


def _products(threads: int) -> list[Tensor]:
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
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))

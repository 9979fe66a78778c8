"""What a process must set before torch is imported, and what it can then promise about equal bits.

Importing this module does not import torch. What is set is read by the libraries under torch at their first
use, so the commands themselves set it (``python -m bench``, ``python -m bench.tune``), every job that a
launcher starts in another process, and ``tests/conftest.py``. What it leads to is measured, not assumed.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from bench.machine.hardware import processor_name, vendor

if TYPE_CHECKING:
    from torch import Tensor

BIT_EQUAL_PRODUCTS = "AUTO,STRICT"
"""For MKL's dense products: the same bits for any number of threads, on the best instructions there are."""
SHAPES = (
    *((64, 64, 64), (511, 333, 64), (1024, 384, 64), (2048, 64, 2048), (64, 4099, 384), (300, 4096, 64)),
    *((3, 64, 64), (3, 64, 1501)),
)
"""Rows, inner size and columns of the products compared: odd sizes, wide features, a contrast, few rows."""
THREADS = (1, 2, 3, 4)


def prepare_process(deterministic: bool) -> None:
    """Set what holds for every process, and what ``run.deterministic=true`` needs; what is set already stays.

    Threads that wait in a loop starve each other as soon as one core is busy with something else: a training
    step was seen to take 40 times as long. MKL chooses the order of its sums by the number of threads unless
    it is told not to: on an Intel Xeon the weights of one and of four threads differed in their last bits. On
    an AMD EPYC it is the other way round: with the setting SLMRec's weights differed, without it no
    backbone's did. So it is set on Intel processors only.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if deterministic and is_intel():
        os.environ.setdefault("MKL_CBWR", BIT_EQUAL_PRODUCTS)


def is_intel() -> bool:
    """Whether this machine's processor is one of Intel's."""
    return "intel" in f"{vendor()} {processor_name()}".lower()


@cache
def differing_products() -> tuple[str, ...]:
    """Dense float32 products on the CPU whose bits depend on the number of threads, one to four, here.

    Each of ``SHAPES`` in three layouts, named like ``3x64 by 64x64, right factor transposed``. Takes some
    milliseconds and leaves the number of threads as it was. It finds machines on which ``MKL_CBWR`` was
    needed and not set before torch was imported; it does not prove anything of other shapes.
    """
    import torch

    before = torch.get_num_threads()
    try:
        found = [_products(threads) for threads in THREADS]
    finally:
        torch.set_num_threads(before)
    first = found[0]
    return tuple(name for name in first if not all(torch.equal(first[name], one[name]) for one in found[1:]))


def _products(threads: int) -> dict[str, Tensor]:
    import torch

    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    made: dict[str, Tensor] = {}
    for rows, inner, columns in SHAPES:
        left = torch.randn(rows, inner, generator=generator)
        right = torch.randn(inner, columns, generator=generator)
        name = f"{rows}x{inner} by {inner}x{columns}"
        made[name] = left @ right
        made[f"{name}, right factor transposed"] = left @ right.t().contiguous().t()
        made[f"{name}, left factor transposed"] = left.t().contiguous().t() @ right
    return made

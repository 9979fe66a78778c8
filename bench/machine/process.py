"""What a process must set before torch is imported. No torch in here.

Both are read by the libraries under torch at their first use, so they are set by the commands themselves
(``python -m bench``, ``python -m bench.tune``), by every job that a launcher starts in another process, and
by ``tests/conftest.py``.
"""

from __future__ import annotations

import os

BIT_EQUAL_PRODUCTS = "AUTO,STRICT"
"""For MKL's dense products: the same bits for any number of threads, on the best instructions there are."""


def prepare_process(deterministic: bool) -> None:
    """Set what holds for every process, and what ``run.deterministic=true`` needs; what is set already stays.

    Threads that wait in a loop starve each other as soon as one core is busy with something else: a training
    step was seen to take 40 times as long. MKL chooses the order of its sums by the number of threads unless
    it is told not to: on an Intel Xeon the weights of one and of four threads differed in their last bits.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if deterministic:
        os.environ.setdefault("MKL_CBWR", BIT_EQUAL_PRODUCTS)

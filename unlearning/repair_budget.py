"""The repair that a method brings along: ordinary training on a stated number of retain examples.

ERASE (SIGIR 2026, arXiv 2603.08341) gives each request max(32, 8 |F|) retain examples, at most a tenth of
the data. There the sample is of whole users; here it is of pairs, through the one retain sampler.
"""

from __future__ import annotations

from collections.abc import Iterator

from datasets.sampling import Batch
from unlearning.base import Problem
from unlearning.options import RepairExamples

LEAST, FACTOR, SHARE = 32, 8, 0.1


def repair_size(examples: RepairExamples, problem: Problem) -> int:
    """How many retain examples: the number given, or ERASE's rule; never more than the retain set holds."""
    retained = problem.retain.train.shape[1]
    if examples != "erase":
        return min(examples, retained)
    asked = max(LEAST, FACTOR * problem.request.forget.shape[1])
    return min(asked, int(SHARE * problem.full.train.shape[1]), retained)


def repair_batches(problem: Problem, count: int, batch_size: int) -> Iterator[Batch]:
    """``count`` retain examples, drawn without replacement, in batches (the last may be short)."""
    left = count
    for batch in problem.retain_sampler().epoch(batch_size, -(-count // batch_size)):
        yield Batch(*(ids[:left] for ids in batch))
        left -= len(batch.users)

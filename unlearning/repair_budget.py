"""The repair that a method brings along: ordinary training on a stated number of retain examples.

ERASE (SIGIR 2026, arXiv 2603.08341) gives each request max(32, 8 |F|) retain examples, at most a tenth of
the data. There the sample is of whole users; here it is of pairs, through the one retain sampler.
"""

from __future__ import annotations

import torch

from datasets.sampling import TripleSampler
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


def repair_sampler(problem: Problem, count: int) -> TripleSampler:
    """Triples of ``count`` retain pairs, drawn once; each pass goes over the same pairs."""
    retained, generator = problem.retain.train, problem.generator
    chosen = torch.randperm(retained.shape[1], generator=generator, device=retained.device)[:count]
    return TripleSampler(retained[:, chosen], retained, problem.retain.num_items, generator)

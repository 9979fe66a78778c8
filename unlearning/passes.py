"""What the passes of several methods share: losses of single pairs, mixed passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from datasets.sampling import Batch, TripleSampler
from models.base import Recommender
from models.losses import bpr_per_pair, pair_scores


class MarkedBatch(NamedTuple):
    """Triples from several sources: ``source`` [B] is the position of each one's source."""

    triples: Batch
    source: Tensor

    @property
    def users(self) -> Tensor:
        """Users of the triples [B]."""
        return self.triples.users


def pair_losses(model: Recommender, batch: Batch) -> Tensor:
    """-log sigma(s_pos - s_neg) of each triple, from the final embeddings: [B].

    The ranking loss of every backbone that trains with BPR. It has the same meaning on one that does
    not (BM3): log 2 says that the pair ties with its negative.
    """
    users_final, items_final = model.embeddings()
    users = F.embedding(batch.users, users_final)
    positives = pair_scores(users, F.embedding(batch.positives, items_final))
    return bpr_per_pair(positives, pair_scores(users, F.embedding(batch.negatives, items_final)))


def whole_pass(sampler: TripleSampler) -> Batch:
    """One shuffled pass as a single batch."""
    return next(iter(sampler.epoch(len(sampler))))


def cycle(sampler: TripleSampler, batch_size: int) -> Iterator[Batch]:
    """Passes without end."""
    while True:
        yield from sampler.epoch(batch_size)


def mixed(sources: Sequence[Batch], batch_size: int, generator: torch.Generator) -> Iterator[MarkedBatch]:
    """One shuffled pass over the triples of all ``sources`` together."""
    triples = Batch(*(torch.cat(column) for column in zip(*sources, strict=True)))
    sizes = [len(source.users) for source in sources]
    device = triples.users.device
    source = torch.arange(len(sizes), device=device).repeat_interleave(torch.tensor(sizes, device=device))
    order = torch.randperm(len(source), generator=generator, device=device)
    for rows in order.split(batch_size):
        yield MarkedBatch(Batch(*(column[rows] for column in triples)), source[rows])

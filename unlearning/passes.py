"""What the passes of several methods share: losses of single pairs, mixed passes, one descent loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from datasets.sampling import Batch, TripleSampler
from models.base import Recommender
from models.losses import bpr_per_pair, pair_scores
from unlearning.base import Recorder


class _Counted(Protocol):
    @property
    def users(self) -> Tensor: ...


AnyBatch = TypeVar("AnyBatch", bound=_Counted)


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


def descend(
    model: Recommender,
    batches: Iterable[AnyBatch],
    objective: Callable[[AnyBatch], Tensor],
    optimiser: torch.optim.Optimizer,
    recorder: Recorder | None = None,
) -> float:
    """One training pass: a step down ``objective`` per batch; its mean. The host waits once, at the end.

    Without a ``recorder`` (before any request) no examples are counted.
    """
    model.train()
    model.start_epoch()
    losses = []
    for batch in batches:
        loss = objective(batch)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(loss.detach())
        if recorder is not None:
            recorder.examples(batch.users.numel())
    return float(torch.stack(losses).mean())

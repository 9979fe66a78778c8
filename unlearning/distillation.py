"""Distillation on score lists: how far a student's ranking of some items is from a teacher's.

The distribution of a triple is the softmax of the user's scores for the triple's positive item and a
list of C sampled items, the same for the whole batch: a matrix [B, 1 + C], never users x items.
Scores differ in scale by orders of magnitude, between backbones and between users (one who lost every
edge has small ones), so the temperature is in units of the spread of the teacher's list.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from datasets.sampling import Batch
from models.base import Recommender, Side
from models.losses import pair_scores
from unlearning.base import trainable


class Embeddings(NamedTuple):
    """Final representations: users [num_users, d], items [num_items, d]."""

    users: Tensor
    items: Tensor


@torch.no_grad()
def frozen(model: Recommender) -> Embeddings:
    """What ``model`` answers now, in evaluation mode; later changes of its weights do not reach it."""
    was_training = model.training
    model.eval()
    users, items = model.embeddings()
    model.train(was_training)
    return Embeddings(users.clone(), items.clone())


def untrained(model: Recommender, seed: int) -> Embeddings:
    """What a network of the same build answers that has learned nothing.

    ID tables are drawn afresh, the entries of every other parameter are shuffled: that keeps their
    scale and destroys what they say. Drawn on the CPU, so that a seed means the same everywhere.
    """
    generator = torch.Generator().manual_seed(seed)
    random = copy.deepcopy(model)
    tables: dict[Side, torch.nn.Parameter] = random.id_tables()
    for side, table in tables.items():
        random.reinitialise_rows(side, torch.arange(len(table), device=table.device), generator)
    drawn = {id(table) for table in tables.values()}
    for parameter in trainable(random):
        if id(parameter) not in drawn:
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.data = parameter.data.reshape(-1)[order].reshape(parameter.shape)
    random.start_epoch()
    return frozen(random)


def sample_items(pool: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """``count`` different items of ``pool`` (all, where it has fewer): LongTensor [C]."""
    return pool[torch.randperm(len(pool), generator=generator, device=pool.device)[:count]]


def score_lists(embeddings: Embeddings, triples: Batch, candidates: Tensor) -> Tensor:
    """Scores of each user for the triple's positive and for ``candidates`` [C]: [B, 1 + C]."""
    users = F.embedding(triples.users, embeddings.users)
    own = pair_scores(users, F.embedding(triples.positives, embeddings.items))
    return torch.cat([own[:, None], users @ F.embedding(candidates, embeddings.items).t()], dim=1)


def spread(lists: Tensor) -> Tensor:
    """Standard deviation of the scores of each row: [B, 1], above zero."""
    deviation = lists.std(dim=1, keepdim=True)
    floor = 1e-3 * deviation.mean() + torch.finfo(lists.dtype).tiny
    return deviation.maximum(floor)


def divergence(teacher: Tensor, student: Tensor, temperature: float | Tensor) -> Tensor:
    """KL(teacher || student) of the softmax of two score lists [B, n] at ``temperature``: [B]."""
    expected = F.log_softmax(teacher / temperature, dim=1)
    given = F.log_softmax(student / temperature, dim=1)
    return F.kl_div(given, expected, log_target=True, reduction="none").sum(dim=1)

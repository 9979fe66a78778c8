"""What is differentiated: a loss of the margin of each triple, or the backbone's whole training loss.

The margin of a triple is x = s_pos - s_neg, and its ranking loss l(x) = -log sigma(x) with
l''(x) = sigma(x) sigma(-x).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from datasets.sampling import Batch
from models.base import Recommender
from models.losses import pair_scores, triple_rows
from models.stable import sigmoid

Total = Callable[[Recommender, Batch], Tensor]
"""The sum of the losses of a batch: a scalar."""


@dataclass(frozen=True)
class MarginLoss:
    """A loss l of the margin: ``value`` and ``bend`` (l'') of margins [B], both [B]."""

    value: Callable[[Tensor], Tensor]
    bend: Callable[[Tensor], Tensor]

    def total(self, model: Recommender, triples: Batch) -> Tensor:
        """The sum over the triples."""
        return self.value(margins(model, triples)).sum()


RANKING = MarginLoss(value=lambda x: -F.logsigmoid(x), bend=lambda x: sigmoid(x) * sigmoid(-x))


def margins(model: Recommender, triples: Batch) -> Tensor:
    """s_pos - s_neg of each triple, from the final embeddings: [B]."""
    users, positives, negatives = triple_rows(*model.embeddings(), triples)
    return pair_scores(users, positives) - pair_scores(users, negatives)


def training_total(model: Recommender, triples: Batch) -> Tensor:
    """The backbone's training loss with all its terms, a mean over the batch, times the batch."""
    return model.loss(triples).total * len(triples.users)

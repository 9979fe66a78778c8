"""Which state of UnlearnRec's encoders to keep: judged on simulated requests that training never saw."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from datasets.interactions import InteractionData
from datasets.sampling import TripleSampler
from models.base import Recommender
from models.losses import pair_scores
from unlearning.distillation import Embeddings, frozen
from unlearning.influence import Influence
from unlearning.influence_encoder import request_graph
from unlearning.replaced_tables import ReplacedTables
from unlearning.simulated_requests import SimulatedRequest
from unlearning.stopping import recall_on_validation

Tables = Callable[[dict[str, Tensor]], Mapping[str, Tensor]]
"""From the signals of a request to the changed tables."""


@dataclass(frozen=True)
class Figures:
    """Means over the held-out requests.

    ``gap``: mean score of random negatives minus that of the forgotten pairs. ``recall``: recall@20 on
    validation pairs. ``kept``: that recall relative to the trained model's on the same graphs.
    """

    gap: float
    recall: float
    kept: float


class Checkpoints:
    """Keeps the best state: the largest gap among those that keep enough validation recall.

    Where none keeps enough, the one that keeps most. Recall is measured on the graph without the
    request's edges and compared with the trained model on the same graph, so that what the encoder costs
    is told apart from what the missing edges cost; all training pairs are masked.

    Measuring binds the backbone: bind it again before training goes on.

    Args:
        backbone: with the trained weights.
        requests: held out from training.
        data: the whole data.
        floor: share of the trained model's recall that is enough.
        generator: draws the negatives, once.
    """

    def __init__(
        self,
        backbone: ReplacedTables,
        influence: Influence,
        requests: Sequence[SimulatedRequest],
        data: InteractionData,
        floor: float,
        generator: torch.Generator,
    ) -> None:
        self._backbone, self._influence = backbone, influence
        self._floor = floor
        self._cases = [_Case(one, data, generator) for one in requests]
        self._reference = sum(self._recall(case, {}) for case in self._cases) / len(self._cases)
        self._state: dict[str, Tensor] = {}
        self.best: Figures | None = None
        self.epoch = self.misses = 0

    def offer(self, epoch: int, tables: Tables) -> None:
        """Measure the present state and keep it if it is the best so far."""
        figures = self._measured(tables)
        if self.best is not None and not self._rank(figures) > self._rank(self.best):
            self.misses += 1
            return
        self.best, self.epoch, self.misses = figures, epoch, 0
        self._state = {name: value.detach().clone() for name, value in self._influence.state_dict().items()}

    def restore(self) -> None:
        """Put the best state back, if there is one."""
        if self._state:
            self._influence.load_state_dict(self._state)

    def _rank(self, figures: Figures) -> tuple[bool, float]:
        enough = figures.kept >= self._floor
        value = figures.gap if enough else figures.kept
        return enough, value if math.isfinite(value) else -math.inf

    @torch.no_grad()
    def _measured(self, tables: Tables) -> Figures:
        gaps, recalls = [], []
        for case in self._cases:
            changed = tables(self._influence.signals(case.edges))
            recalls.append(self._recall(case, changed))
            gaps.append(case.gap(self._backbone.run(changed, frozen)))
        gap, recall = (sum(values) / len(self._cases) for values in (gaps, recalls))
        return Figures(gap, recall, recall / max(self._reference, torch.finfo(torch.float32).tiny))

    def _recall(self, case: _Case, tables: Mapping[str, Tensor]) -> float:
        self._backbone.backbone.bind(case.kept)

        def measure(model: Recommender) -> float:
            return recall_on_validation(model, case.judged)

        return self._backbone.run(tables, measure)


class _Case:
    """A held-out request: its edges, the data without them, and a negative per forgotten pair."""

    def __init__(self, drawn: SimulatedRequest, data: InteractionData, generator: torch.Generator) -> None:
        self._pairs = drawn.request.forget
        self.kept = drawn.kept
        self.judged = replace(drawn.kept, train=data.train)
        self.edges = request_graph(self._pairs, data.num_users, data.num_items).adjacency
        sampler = TripleSampler(self._pairs, data.train, data.num_items, generator)
        self._negatives = sampler.negatives(self._pairs[0])

    def gap(self, served: Embeddings) -> float:
        users = served.users[self._pairs[0]]
        others, forgotten = served.items[self._negatives], served.items[self._pairs[1]]
        return float((pair_scores(users, others) - pair_scores(users, forgotten)).mean())

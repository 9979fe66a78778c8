"""The served model: a base recommender whose first candidates are ranked anew from the retained history."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.pairs import PairIndex
from datasets.sampling import Batch
from models.base import LossTerms, Recommender, Scorer, Side
from models.capabilities import Capability
from unlearning.rag.history import RetainedHistory
from unlearning.rag.ranking import CandidateScorer, Scores, Task

Ints = NDArray[np.int64]
Retrieve = Callable[[Ints, Ints, np.random.Generator], Ints]
"""From a history [H] and candidates [C] to what is retrieved."""


class TooManyFallbacks(RuntimeError):
    """More users than allowed would be served the base's order, which has forgotten nothing."""


@dataclass(frozen=True)
class Serving:
    """How lists are made.

    Attributes:
        history: all that retrieval may see.
        known: pairs [2, P] that are no candidates.
        withdrawn: items [W] that are none for anybody.
        candidates: how many of the base's first items are ranked anew.
        limit: how many history items are retrieved at most.
        users: who is served, [U]; None for everybody.
        max_fallback: share of the served lists that may stay in the base's order for want of an answer.
        seed: of each user's own randomness.
    """

    history: RetainedHistory
    known: Tensor
    withdrawn: Tensor
    candidates: int
    limit: int
    users: Tensor | None
    max_fallback: float
    seed: int


class Reranker(Recommender):
    """Serves lists. A user without a retained history gets the base's.

    Scores are places: the candidates in their new order, then all other items in the base's.
    """

    lacks: ClassVar[dict[Capability, str]] = {
        Capability.EMBEDDINGS: "lists are ranked from prompts, not from vectors",
        Capability.PARAMETERS: "the recommender behind it is the original and has not changed",
        Capability.TRAINING: "lists are ranked from prompts, which no training changes",
        Capability.REBINDING: "what it forgot is not in its retained history, whatever graph it is bound to",
        Capability.UNMASKED: "retained training items are no candidates",
        Capability.SCALE: "only the order of a served list means anything",
    }

    def __init__(
        self,
        base: Recommender,
        data: InteractionData,
        serving: Serving,
        retrieve: Retrieve,
        scorer: CandidateScorer,
    ) -> None:
        super().__init__(data, base.options)
        self.base, self._serving, self._retrieve, self._scorer = base, serving, retrieve, scorer
        self._known = PairIndex(serving.known, data.num_users, data.num_items)
        self._lists: dict[int, Tensor] = {}
        self._served = self._fallbacks = self._without = self._chosen = 0
        self._seconds = self._base_seconds = 0.0

    def bind(self, data: InteractionData) -> None:
        """Bind the base; the retained history stays what it is."""
        self.base.bind(data)
        self._lists.clear()

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """There are none."""
        raise TypeError(self.lacks[Capability.EMBEDDINGS])

    def loss(self, batch: Batch) -> LossTerms:
        """There is none."""
        raise TypeError(self.lacks[Capability.TRAINING])

    def id_tables(self) -> dict[Side, nn.Parameter]:
        """None of its own."""
        return {}

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """None of its own."""
        return {}

    @torch.no_grad()
    def scorer(self) -> Scorer:
        """Places, the highest best. Users are served at their first list and keep it until the next
        ``bind``."""
        base = self.base.scorer()

        @torch.no_grad()
        def places(users: Tensor) -> Tensor:
            scores = base(users)
            self._serve(users, base)
            order = scores.argsort(dim=1, descending=True, stable=True)
            place = torch.arange(0, -order.shape[1], -1, device=order.device, dtype=torch.float32)
            found = torch.empty(order.shape, device=order.device).scatter_(
                1, order, place.expand(order.shape)
            )
            for row, user in enumerate(users.tolist()):
                first = self._lists[user].to(order.device)
                found[row, first] = torch.arange(len(first), 0, -1, device=order.device, dtype=torch.float32)
            return found

        return places

    def figures(self) -> dict[str, float]:
        """What serving took and how it went, by MLflow name."""
        lists = max(self._served, 1)
        seconds = self._scorer.seconds()
        own = self._seconds if seconds is None else seconds
        return {
            "serve/lists": float(self._served),
            "serve/seconds_per_list": (self._base_seconds + own) / lists,
            "serve/base_seconds_per_list": self._base_seconds / lists,
            "serve/without_history": float(self._without),
            "retrieval/chosen_share": self._chosen / lists,
            "llm/fallback_rate": self._fallbacks / lists,
            **self._scorer.figures(lists),
        }

    def _serve(self, users: Tensor, base: Scorer) -> None:
        """Make the lists of those who have none yet."""
        new = torch.tensor(
            [u for u in users.tolist() if u not in self._lists], dtype=torch.long, device=users.device
        )
        if not len(new):
            return
        asked = self._serving.users
        if asked is not None and not bool(torch.isin(new, asked).all()):
            raise RuntimeError("lists were asked for users who are not measured (evaluate.users)")
        began = time.perf_counter()
        tasks = self._tasks(new, base)
        scored = time.perf_counter()
        self._base_seconds += scored - began
        askable = [task for task in tasks if len(task.retrieved)]
        before = self._fallbacks

        def give_up(count: int) -> None:
            self._fallbacks = before + count
            self._refuse_fallbacks()

        for task, scores in zip(askable, self._scorer.scores(askable, give_up), strict=True):
            self._lists[task.user] = _ordered(task, scores)
        for task in tasks:
            if task.user not in self._lists:
                self._lists[task.user] = _ordered(task, None)
        self._without += len(tasks) - len(askable)
        self._served += len(tasks)
        self._seconds += time.perf_counter() - scored

    def _tasks(self, users: Tensor, base: Scorer) -> list[Task]:
        serving = self._serving
        scores = base(users).clone()
        scores[self._known.rows(users)] = -torch.inf
        scores[:, serving.withdrawn] = -torch.inf
        order = scores.argsort(dim=1, descending=True, stable=True)[:, : serving.candidates]
        best = scores.gather(1, order).double().cpu().numpy()
        tasks = []
        for user, items, own in zip(users.tolist(), order.cpu().numpy(), best, strict=True):
            there = own > -np.inf
            history, random = serving.history.of(user), np.random.default_rng([serving.seed, user])
            retrieved = self._retrieve(history, items[there], random) if there.any() else history[:0]
            self._chosen += len(history) > serving.limit
            tasks.append(
                Task(user, retrieved, items[there], own[there], serving.history.digest(user), random)
            )
        return tasks

    def _refuse_fallbacks(self) -> None:
        served = self.num_users if self._serving.users is None else len(self._serving.users)
        if self._fallbacks > self._serving.max_fallback * served:
            why = self._scorer.lost() if hasattr(self._scorer, "lost") else ""
            raise TooManyFallbacks(
                f"{self._fallbacks} of {served} lists have no readable answer, more than "
                f"method.max_fallback={self._serving.max_fallback} allows"
                + (f" (lost calls: {why})" if why else "")
                + ": ask for fewer candidates, use another model, or look at its server."
            )


def _ordered(task: Task, scores: Scores | None) -> Tensor:
    """The candidates from the best on, equal ones in the base's order."""
    if scores is None:
        return torch.from_numpy(task.candidates)
    return torch.from_numpy(task.candidates[np.argsort(-scores, kind="stable")])


def any_chosen(history: RetainedHistory, users: np.ndarray[Any, Any], limit: int) -> bool:
    """Whether retrieval has to choose for any of the users."""
    return any(len(history.of(int(user))) > limit for user in users)

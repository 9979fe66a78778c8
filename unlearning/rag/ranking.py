"""How well candidates go with a retrieved history: by a language model, or by similarity alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.item_text import ItemText
from unlearning.llm.asking import Asker, Question
from unlearning.rag.prompts import estimated_tokens, scores_in, written

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """One user: what was retrieved, ``candidates`` [C] from the base's best on, their ``base`` scores [C],
    the digest of the retained history, and a source of randomness of his own."""

    user: int
    retrieved: Ints
    candidates: Ints
    base: Scores
    digest: str
    random: np.random.Generator


class CandidateScorer(ABC):
    """Scores candidates."""

    @abstractmethod
    def scores(self, tasks: Sequence[Task], give_up: Callable[[int], None]) -> list[Scores | None]:
        """Scores [C] of each task, None where the base's order has to do.

        Args:
            give_up: told how many have to, so far; raises where these are too many.
        """

    def seconds(self) -> float | None:
        """What scoring took, where the clock on the wall does not tell; None where it does."""
        return None

    def figures(self, lists: int) -> dict[str, float]:
        """What scoring took for so many lists, by MLflow name."""
        return {}


class BySimilarity(CandidateScorer):
    """No language model: a * cos(mean vector of the retrieved history, candidate) + b * base score, both
    standardised over the candidates. What retrieval alone does.

    Args:
        vectors: of items [num_items, d].
        weights: a and b.
    """

    def __init__(self, vectors: Floats, weights: tuple[float, float]) -> None:
        self._vectors, self._weights = vectors, weights

    def scores(self, tasks: Sequence[Task], give_up: Callable[[int], None]) -> list[Scores | None]:
        """See ``CandidateScorer``; every task has scores."""
        return [self._scores(task) for task in tasks]

    def _scores(self, task: Task) -> Scores:
        likeness = _cosine(self._vectors[task.candidates], self._vectors[task.retrieved].mean(axis=0))
        similar, base = self._weights
        return similar * _standard(likeness) + base * _standard(task.base)


class ByLanguageModel(CandidateScorer):
    """A language model gives every candidate a number from 1 to 100.

    Args:
        texts: of items.
        title_tokens: at which a text field is cut.
        max_input_tokens: of a prompt.
        shuffle: whether candidates come in random order, so that their place does not tell the base's order.
    """

    def __init__(
        self,
        asker: Asker,
        texts: Sequence[ItemText],
        title_tokens: int,
        max_input_tokens: int,
        shuffle: bool,
        tokens: Callable[[str], int] = estimated_tokens,
    ) -> None:
        self._asker, self._texts = asker, texts
        self._title_tokens, self._max_input_tokens = title_tokens, max_input_tokens
        self._shuffle, self._tokens = shuffle, tokens

    def __deepcopy__(self, memo: object) -> ByLanguageModel:
        return self  # connections and accounts are not copied with a model

    def scores(self, tasks: Sequence[Task], give_up: Callable[[int], None]) -> list[Scores | None]:
        """See ``CandidateScorer``."""
        return self._asker.ask([self._question(task) for task in tasks], give_up)

    def seconds(self) -> float:
        """Of all answers, kept ones at what they took when they were given."""
        return self._asker.account.seconds

    def figures(self, lists: int) -> dict[str, float]:
        """Calls, tokens, retries and the share of kept answers."""
        account = self._asker.account
        found = {
            "llm/calls": account.calls,
            "llm/retries": account.retries,
            "llm/tokens_in": account.tokens_in,
            "llm/tokens_out": account.tokens_out,
            "llm/cached_share": account.cached / max(account.calls, 1),
            "llm/seconds_per_user": account.seconds / max(lists, 1),
        }
        money = self._asker.money()
        return {name: float(value) for name, value in found.items()} | (
            {} if money is None else {"cost/money": money}
        )

    def lost(self) -> str:
        """Why the last lost call was lost, "" where none was."""
        return self._asker.account.lost

    def _question(self, task: Task) -> Question[Scores]:
        count = len(task.candidates)
        order = task.random.permutation(count) if self._shuffle else np.arange(count)
        known, offered = (
            [self._texts[item] for item in items] for items in (task.retrieved, task.candidates[order])
        )
        prompt = written(known, offered, self._title_tokens, self._max_input_tokens, self._tokens)

        def read(answer: str) -> Scores | None:
            found = scores_in(answer, count)
            return None if found is None else found[np.argsort(order)]

        return Question(task.user, prompt, task.digest, 8 * count + 32, read)


def _cosine(rows: Floats, row: Floats) -> Scores:
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(row)
    cosine: Scores = np.divide(rows @ row, norms, out=np.zeros(len(rows)), where=norms > 0)
    return cosine


def _standard(values: NDArray[np.floating]) -> Scores:
    spread = float(values.std())
    centred: Scores = (values - values.mean()).astype(np.float64)
    scaled: Scores = centred / (spread or 1.0)
    return scaled

"""CRAGRU: the recommender stays as it is, and a language model ranks its candidates from retained history.

"CRAGRU", ICDM 2025, arXiv 2511.05494. On a request the forgotten pairs leave the retained history, and
nothing is computed. Every list then takes one call of a language model:

    candidates   the base's first C items for the user
    retrieval    at most M items of his retained history (``unlearning.rag.retrieval``)
    ranking      a prompt with both; the model answers with a score 1..100 for every candidate

docs/methods/cragru.md says what is published, what is ours, and what the method does not forget.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from datasets.errors import InputError
from datasets.interactions import InteractionData
from models.base import Recommender
from unlearning.base import Problem, Recorder, Setting, UnlearningMethod, UnlearnResult
from unlearning.llm.answers import Backend
from unlearning.llm.asking import Asker
from unlearning.llm.http import HTTPBackend
from unlearning.llm.kept import KeptAnswers
from unlearning.llm.local import LocalBackend
from unlearning.llm.options import LLMOptions
from unlearning.options import Forecast
from unlearning.rag.categories import categories, item_vectors
from unlearning.rag.history import RetainedHistory
from unlearning.rag.options import RetrievalOptions
from unlearning.rag.prompts import TEMPLATE
from unlearning.rag.ranking import ByLanguageModel, CandidateScorer
from unlearning.rag.reranker import Reranker, Serving, any_chosen
from unlearning.rag.retrieval import Choice, retrieved
from unlearning.rag.shares import hit_table, shares_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
RANDOM_WIDTH = 64

PROMPT_TOKENS, HISTORY_TOKENS, CANDIDATE_TOKENS = 150, 30, 32
"""Of the fixed part of a prompt, of an item of the history, of a candidate, roughly."""
ANSWER_TOKENS, ANSWER_FRAME = 7, 10
"""Of the answer about a candidate, and around it."""


@dataclass(frozen=True)
class CRAGRUOptions(RetrievalOptions):
    """Published: the released code's values."""

    backend: Literal["http", "transformers"] = "http"
    """``http``: any server that speaks OpenAI's chat completions. ``transformers``: a model in a local
    folder."""

    llm: LLMOptions = field(default_factory=LLMOptions)

    shuffle: bool = True
    """Candidates in random order, so that their place does not tell the base's order. Ours."""

    title_tokens: Annotated[int, Field(ge=4)] = 24
    """At which each text field is cut. Ours."""

    max_fallback: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Share of the lists that may stay in the base's order for want of a readable answer. That order has
    forgotten nothing, so a cell with more fails. Published: no limit."""

    def forecast(self, users: int) -> Forecast:
        """One call for each list; tokens by rules of thumb (docs/methods/cragru.md)."""
        asked = PROMPT_TOKENS + self.history * HISTORY_TOKENS + self.candidates * CANDIDATE_TOKENS
        tokens_in = users * min(asked, self.llm.max_input_tokens)
        tokens_out = users * (self.candidates * ANSWER_TOKENS + ANSWER_FRAME)
        money = None
        if self.llm.price_in is not None and self.llm.price_out is not None:
            money = (tokens_in * self.llm.price_in + tokens_out * self.llm.price_out) / 1e6
        return Forecast(users, tokens_in, tokens_out, money, self._refusal(tokens_in + tokens_out, money))

    def _refusal(self, tokens: int, money: float | None) -> str:
        limit, most = self.llm.budget_tokens, self.llm.budget_money
        if limit is not None and tokens > limit:
            return (
                f"method.llm.budget_tokens={limit} is less than the about {tokens} tokens that lists take: "
                "measure fewer users (evaluate.users.count) or raise the budget."
            )
        if most is not None and money is None:
            return "method.llm.budget_money has no prices: set method.llm.price_in and method.llm.price_out."
        if most is not None and money is not None and money > most:
            return (
                f"method.llm.budget_money={most} is less than the about {money:.2f} that its lists cost: "
                "measure fewer users (evaluate.users.count) or raise the budget."
            )
        return ""


@dataclass(frozen=True)
class Prepared:
    """What the diversity strategy knows before any request: ``category`` [num_items], ``shares``
    [categories]."""

    category: Ints
    shares: NDArray[np.float64]


class CRAGRU(UnlearningMethod):
    """Retained history, retrieval, a language model."""

    Options: ClassVar[type] = CRAGRUOptions
    no_stream: ClassVar[str] = (
        "its lists belong to the users and to the history of one request, and what serving them took is not "
        "summed over several"
    )
    options: Any

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` where the language model cannot be asked."""
        self.backend(torch.device("cpu")).check()

    def check_data(self, data: InteractionData) -> None:
        """Raise ``InputError`` for data without item text."""
        if data.item_text is None:
            raise InputError(
                "method=cragru writes prompts from item text and there is none: prepare data with item text "
                "(docs/prepare-data.md), or use method=cragru_no_llm."
            )

    def prepare(self, original: Recommender, setting: Setting) -> Prepared | None:
        """The shares of the diversity strategy, from a training per category and share."""
        if self.options.strategy != "diversity":
            return None
        seed, data = setting.generator.initial_seed(), setting.data
        category = self._categories(data, self._vectors(original, data, seed), seed)
        number = int(category.max()) + 1
        if not 2 <= number <= 20:
            raise InputError(
                f"method.strategy=diversity needs 2 to 20 categories and there are {number}: set "
                "method.category_level, or method.categories=content with method.clusters."
            )
        table = hit_table(
            data,
            category,
            lambda part, purpose: setting.workshop.trained(part, purpose).model,
            np.random.default_rng(seed),
        )
        return Prepared(category, shares_of(table))

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """The history of the retain set, kept answers of touched users deleted; lists are made when asked
        for."""
        retain, options = problem.retain, self.options
        drawn = torch.randint(2**62, (1,), generator=problem.generator, device=problem.generator.device)
        seed, history = int(drawn), RetainedHistory(retain)
        self._refuse_idle_strategy(history, problem)
        vectors = self._vectors(original, retain, seed)
        known = problem.full.train if options.mask == "full" else retain.train
        serving = Serving(
            history,
            known,
            retain.withdrawn_items,
            options.candidates,
            options.history,
            problem.users,
            self.most_fallbacks(),
            seed,
        )
        kept, purged = self._kept(problem), 0
        if kept is not None:
            asked = torch.cat([problem.request.users, problem.request.forget[0]]).unique().tolist()
            purged = kept.purge({user: history.digest(user) for user in asked})
        retrieve = self._retrieve(problem, vectors, seed)
        scorer = self.scorer(problem, vectors, kept)
        served = Reranker(original, retain, serving, retrieve, scorer)
        notes = {"purged_answers": purged, **self.notes(), "strategy": options.strategy}
        return UnlearnResult(served, notes=notes, beside={"base": original}, served=served.figures)

    def notes(self) -> dict[str, Any]:
        """What ranks."""
        return {"ranked_by": self.options.llm.model or self.options.backend, "template": TEMPLATE}

    def most_fallbacks(self) -> float:
        """Share of the lists that may stay in the base's order."""
        return float(self.options.max_fallback)

    def backend(self, device: torch.device) -> Backend:
        """The language model of the options."""
        llm = self.options.llm
        return HTTPBackend(llm) if self.options.backend == "http" else LocalBackend(llm, device)

    def scorer(self, problem: Problem, vectors: Floats, kept: KeptAnswers | None) -> CandidateScorer:
        """What scores candidates. Raises ``InputError`` for a data set without item text."""
        self.check_data(problem.retain)
        texts, options = problem.retain.item_text or (), self.options
        backend = self.backend(problem.retain.train.device)
        asker = Asker(backend, options.llm, TEMPLATE, kept)
        llm = options.llm
        return ByLanguageModel(asker, texts, options.title_tokens, llm.max_input_tokens, options.shuffle)

    def _kept(self, problem: Problem) -> KeptAnswers | None:
        if problem.keeps is None:
            return None
        # A request appends to the fingerprint: what was asked before belongs to the same data set.
        data = problem.full.fingerprint.partition("-")[0]
        return KeptAnswers(problem.keeps / "answers" / (data or "data"))

    def _retrieve(self, problem: Problem, vectors: Floats, seed: int) -> Any:
        options, prepared = self.options, problem.prepared
        if isinstance(prepared, Prepared):
            category, shares = prepared.category, prepared.shares
        else:
            category = self._categories(problem.retain, vectors, seed)
            shares = np.zeros(int(category.max()) + 1)

        def retrieve(history: Ints, candidates: Ints, random: np.random.Generator) -> Ints:
            choice = Choice(history, candidates, category, vectors, shares, options.history, random)
            return retrieved(options.strategy, choice)

        return retrieve

    def _categories(self, data: InteractionData, vectors: Floats, seed: int) -> Ints:
        options = self.options
        level = options.category_level if options.categories == "text" else None
        return categories(data, vectors, level, options.clusters, seed)

    def _vectors(self, base: Recommender, data: InteractionData, seed: int) -> Floats:
        if self.options.vectors == "random":
            shape = (data.num_items, RANDOM_WIDTH)
            return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
        with torch.no_grad():
            own = base.embeddings()[1].detach().float().cpu().numpy()
        return own if self.options.vectors == "base" else item_vectors(data, own)

    def _refuse_idle_strategy(self, history: RetainedHistory, problem: Problem) -> None:
        """A strategy that chooses nothing must not pass for one that does."""
        users = range(problem.full.num_users) if problem.users is None else problem.users.tolist()
        limit, strategy = self.options.history, self.options.strategy
        if strategy != "first" and not any_chosen(history, np.array(users), limit):
            raise InputError(
                f"method.strategy={strategy} has nothing to choose: no user has more than "
                f"method.history={limit} retained items; lower it, or set method.strategy=first."
            )

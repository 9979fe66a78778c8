"""CRAGRU (no LLM): the same retrieval, and candidates ranked by their likeness to what it finds.

The control that tells what retrieval alone does; it needs neither a language model nor item text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from datasets.interactions import InteractionData
from models.base import Recommender
from unlearning.base import Problem
from unlearning.cragru import CRAGRU, Floats
from unlearning.llm.kept import KeptAnswers
from unlearning.rag.options import RetrievalOptions
from unlearning.rag.ranking import BySimilarity, CandidateScorer


@dataclass(frozen=True)
class CRAGRUNoLLMOptions(RetrievalOptions):
    """All of it ours."""

    similarity_weight: Annotated[float, Field(ge=0)] = 1.0
    """a, of the cosine between a candidate and the mean of the retrieved history, standardised."""

    base_weight: Annotated[float, Field(ge=0)] = 1.0
    """b, of the base's score, standardised."""


class CRAGRUNoLLM(CRAGRU):
    """Retained history, retrieval, similarity."""

    Options: ClassVar[type] = CRAGRUNoLLMOptions
    no_stream: ClassVar[str] = (
        "its lists belong to the users and to the history of one request, and what serving them took is not "
        "summed over several"
    )

    def check(self, model: Recommender) -> None:
        """It works on every backbone."""

    def check_data(self, data: InteractionData) -> None:
        """It needs no text."""

    def notes(self) -> dict[str, Any]:
        """What ranks."""
        return {"ranked_by": "similarity, no language model"}

    def most_fallbacks(self) -> float:
        """Every candidate has a score."""
        return 0.0

    def scorer(self, problem: Problem, vectors: Floats, kept: KeptAnswers | None) -> CandidateScorer:
        """Likeness."""
        return BySimilarity(vectors, (self.options.similarity_weight, self.options.base_weight))

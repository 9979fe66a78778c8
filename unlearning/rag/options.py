"""Options of lists by retrieval, with and without a language model. Light on purpose: no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from unlearning.options import MethodOptions


@dataclass(frozen=True)
class RetrievalOptions(MethodOptions):
    """Published values are those of CRAGRU's released code (arXiv 2511.05494)."""

    strategy: Literal["preference", "diversity", "attention", "average", "random", "first"] = "preference"
    """What of a long history is retrieved (``unlearning/rag/retrieval.py``). A strategy that chooses nothing,
    because no history is longer, is refused: with ``first`` nobody takes the result for one of a strategy."""

    history: Annotated[int, Field(ge=1)] = 5
    """M, items retrieved at most. Published: 100, which nobody has more than in the Amazon data sets."""

    candidates: Annotated[int, Field(ge=2)] = 50
    """C, first items of the base list that are ranked anew. Published: 50 (one script: 100)."""

    mask: Literal["retain", "full"] = "retain"
    """Whose pairs are no candidates. ``retain``: forgotten items may come back, and it is measured whether
    they do. ``full``: they cannot, by the mask and not by forgetting (released)."""

    categories: Literal["text", "content"] = "text"
    """From the item text, where the data set has one, or clusters of item content."""

    category_level: Annotated[int, Field(ge=1)] = 2
    """How far down the category path; 1 is the most general. Ours."""

    clusters: Annotated[int, Field(ge=2, le=20)] = 5
    """Of item content by k-means. Published: 5, of genre words."""

    vectors: Literal["content", "base", "random"] = "content"
    """Of items, for attention and for similarity: content features (the base's item embeddings without any),
    the base's item embeddings, or random ones of width 64 (released)."""

"""Text features without a model: TF-IDF of words and word pairs, reduced by a truncated SVD (LSA)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from datasets.features.base import CorpusExtractor, Vectors

MAX_WORDS = 50_000
SEED = 0


class TfidfSvd(CorpusExtractor):
    """scikit-learn's ``TfidfVectorizer`` (sublinear counts, 1- and 2-grams) and ``TruncatedSVD``."""

    needs_model = False

    def check(self) -> None:
        """Nothing is needed beyond scikit-learn, which Lethe requires."""

    def identity(self) -> dict[str, Any]:
        """Name, scikit-learn's version, number of words and of columns."""
        import sklearn

        return {
            "extractor": "tfidf",
            "label": "TF-IDF and truncated SVD: no model",
            "scikit-learn": sklearn.__version__,
            "max_words": MAX_WORDS,
            "dim": self.options.dim,
        }

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), d]; d is ``dim``, or less where there are fewer texts or words."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from threadpoolctl import threadpool_limits

        counter = TfidfVectorizer(
            sublinear_tf=True, ngram_range=(1, 2), max_features=MAX_WORDS, token_pattern=r"(?u)\w+"
        )
        # One thread: the last bits of a sum must not depend on how it is shared out.
        with threadpool_limits(1):
            counts = counter.fit_transform(texts)
            columns = min(self.options.dim, *(size - 1 for size in counts.shape))
            if columns < 1:
                return counts.toarray().astype(np.float32)  # type: ignore[no-any-return]
            reduced = TruncatedSVD(columns, random_state=SEED).fit_transform(counts)
        return np.ascontiguousarray(reduced, dtype=np.float32)

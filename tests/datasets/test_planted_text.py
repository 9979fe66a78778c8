"""The synthetic twin's text tells the planted truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from datasets.planted_text import clusters_of, word
from datasets.synthetic import Synthetic, SyntheticOptions

READER = Synthetic("synthetic", SyntheticOptions(), Path())
TASTES = READER.tastes()
RAW = READER.read()


def mean_cosine(same: np.ndarray) -> float:
    """Mean cosine of the latents over the pairs of different items that ``same`` marks."""
    cosine = TASTES.items @ TASTES.items.T
    return float(cosine[same & ~np.eye(len(cosine), dtype=bool)].mean())


def same(labels: list[str]) -> np.ndarray:
    array = np.array(labels)
    return np.asarray(array[:, None] == array[None, :])


def test_every_item_has_every_field() -> None:
    assert RAW.item_text is not None
    assert len(RAW.item_text) == RAW.num_items
    assert all(
        t.title and t.brand and len(t.categories) == 3 and t.description and t.price for t in RAW.item_text
    )
    assert len({t.title for t in RAW.item_text}) == RAW.num_items


def test_categories_are_a_tree_over_the_planted_clusters() -> None:
    assert RAW.item_text is not None
    paths = [text.categories for text in RAW.item_text]
    for level in (1, 2):
        assert len({path[: level + 1] for path in paths}) == len({path[level] for path in paths})
    assert [path[1] for path in paths] == [word("cluster", int(c)) for c in clusters_of(TASTES)]


def test_finer_categories_are_closer_in_the_latents() -> None:
    assert RAW.item_text is not None
    anything, *levels = (
        mean_cosine(same([text.categories[level] if level >= 0 else "" for text in RAW.item_text]))
        for level in (-1, 0, 1, 2)
    )
    assert abs(anything) < 0.05
    assert levels[0] > 0.2
    assert levels[0] < levels[1] < levels[2]


def test_titles_predict_affinity() -> None:
    """The item most alike by the words of its title is alike in the latents."""
    assert RAW.item_text is not None
    titles = TfidfVectorizer().fit_transform([text.title.partition(" no ")[0] for text in RAW.item_text])
    alike = (titles @ titles.T).toarray()
    np.fill_diagonal(alike, -1)
    nearest = TASTES.items[alike.argmax(axis=1)]
    assert float((TASTES.items * nearest).sum(axis=1).mean()) > 0.5


def test_words_of_families_differ_and_are_distinct() -> None:
    words = [word(family, n) for family in ("trait", "cluster", "department", "brand") for n in range(5000)]
    assert len(set(words)) == len(words)


def test_price_follows_the_first_latent_dimension() -> None:
    assert RAW.item_text is not None
    prices = [float(text.price or 0) for text in RAW.item_text]
    assert np.corrcoef(np.log(prices), TASTES.items[:, 0])[0, 1] > 0.99

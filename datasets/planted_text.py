"""Item text that tells the planted truth, for tests of what reads text.

A title names the two latent dimensions in which the item stands out most, by one word for each end of a
dimension, and the item's cluster; the category path is the department (the strongest dimension of the
cluster's centre), the cluster, and the item's strongest dimension within it. The brand is one of a few of
the department, picked by the item's latents; the price follows the first dimension. All words are made of
syllables: nobody takes them for products.
"""

from __future__ import annotations

import numpy as np

from datasets.item_text import ItemText
from datasets.planted import Floats, Ints, Tastes

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"
SYLLABLES = tuple(consonant + vowel for consonant in CONSONANTS for vowel in VOWELS)

BRANDS_PER_DEPARTMENT = 3
MEDIAN_PRICE = 20.0


def describe(tastes: Tastes) -> tuple[ItemText, ...]:
    """The text of every item, position = item id. Nothing is drawn: the latents decide."""
    cluster = clusters_of(tastes)
    departments = _departments(tastes.items, cluster)
    most = np.argsort(-np.abs(tastes.items), axis=1, kind="stable")
    return tuple(
        _text(item, tastes.items[item], most[item], int(cluster[item]), departments)
        for item in range(len(tastes.items))
    )


def clusters_of(tastes: Tastes) -> Ints:
    """The cluster of every item [num_items]."""
    sizes = np.diff(tastes.bounds)
    cluster = np.empty(len(tastes.items), dtype=np.int64)
    cluster[tastes.by_cluster] = np.repeat(np.arange(len(sizes)), sizes)
    return cluster


def _departments(items: Floats, cluster: Ints) -> Ints:
    """The pole (see ``_poles``) of each cluster's centre: [largest cluster + 1]."""
    centres = np.zeros((int(cluster.max()) + 1, items.shape[1]), dtype=np.float64)
    np.add.at(centres, cluster, items)
    return _poles(centres, np.abs(centres).argmax(axis=1))


def _poles(rows: Floats | np.ndarray, dimension: Ints) -> Ints:
    """Number of one end of a latent dimension: 2 d for the positive end of dimension d, else 2 d + 1."""
    values = np.take_along_axis(rows, dimension[:, None], axis=1)[:, 0]
    poles: Ints = 2 * dimension + (values < 0)
    return poles


def _text(item: int, latent: Floats, most: Ints, cluster: int, departments: Ints) -> ItemText:
    strongest = [int(2 * d + (latent[d] < 0)) for d in most[:2]]
    traits = [word("trait", pole) for pole in strongest]
    department = int(departments[cluster])
    kind, shelf = word("cluster", cluster), word("department", department)
    brand = BRANDS_PER_DEPARTMENT * department + strongest[0] % BRANDS_PER_DEPARTMENT
    return ItemText(
        title=f"{traits[0]} {traits[-1]} {kind} no {item}",
        brand=word("brand", brand),
        categories=(shelf, kind, f"{traits[0]} {kind}"),
        description=f"A {kind} of the {shelf} range: {' and '.join(traits)}.",
        price=round(MEDIAN_PRICE * float(np.exp(latent[0])), 2),
    )


FAMILIES = {"trait": "ish", "cluster": "or", "department": "wares", "brand": "co"}
"""Ending of the words of each family, so that no word means two things."""


def word(family: str, number: int) -> str:
    """The made-up word number ``number`` of a family."""
    syllables = []
    while True:
        number, place = divmod(number, len(SYLLABLES))
        syllables.append(SYLLABLES[place])
        if number == 0 and len(syllables) >= 2:
            return "".join(syllables) + FAMILIES[family]

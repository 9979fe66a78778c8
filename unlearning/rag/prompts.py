"""The prompt of one user, and making sense of its answer. The wording is ours.

Candidates have numbers from 1 on, not item ids: that takes fewer tokens, and no id can be remembered.
Profiles (age, occupation) and ratings are left out: none of the data sets has them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from datasets.item_text import NOTHING, ItemText
from unlearning.llm.answers import Prompt

TEMPLATE = "1"
"""Version of the wording; part of every key of an answer."""
SYSTEM = (
    "You rank items for one shop customer. You answer with one JSON object and nothing else. Its keys are "
    "the numbers of all candidates, its values are whole numbers from 1 (would not buy) to 100 (would buy)."
)
ASK = (
    "Give every candidate from 1 to {count} exactly one score by how well it fits what this customer bought. "
    'Answer in the form {{"1": score, "2": score, ...}}.'
)
CHARACTERS_PER_TOKEN = 4
"""Of English text, roughly; a backend with a tokenizer counts for itself."""
LEAST, MOST = 1.0, 100.0
MOST_MISSING = 0.1
"""Share of the candidates that an answer may leave out."""


def estimated_tokens(text: str) -> int:
    """How many tokens a text takes, roughly."""
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def written(
    history: Sequence[ItemText],
    candidates: Sequence[ItemText],
    title_tokens: int,
    max_tokens: int,
    tokens: Callable[[str], int] = estimated_tokens,
) -> Prompt:
    """The prompt; the history loses its last lines until it fits ``max_tokens``, the candidates never do."""
    offered = "\n".join(f"{k}: {_line(text, title_tokens)}" for k, text in enumerate(candidates, start=1))
    lines = [f"- {_line(text, title_tokens)}" for text in history]
    while True:
        known = "\n".join(lines) or "- (nothing is known)"
        asked = ASK.format(count=len(candidates))
        prompt = Prompt(SYSTEM, f"The customer bought:\n{known}\n\nCandidates:\n{offered}\n\n{asked}")
        if not lines or tokens(prompt.system + prompt.user) <= max_tokens:
            return prompt
        lines.pop()


def scores_in(answer: str, count: int) -> NDArray[np.float64] | None:
    """The scores [count] in an answer, clipped to 1..100; None where it is no answer.

    The last JSON object counts. A candidate that is named twice keeps its first score. Candidates that are
    missing get the mean of the others if they are a tenth at most.
    """
    pairs = _last_object(answer)
    found = np.full(count, np.nan)
    for key, value in pairs:
        number = _number(key)
        score = _number(value)
        if number is None or score is None or number != int(number) or not 1 <= number <= count:
            continue
        place = int(number) - 1
        if math.isnan(found[place]):
            found[place] = min(max(score, LEAST), MOST)
    missing = np.isnan(found)
    if missing.all() or missing.sum() > MOST_MISSING * count:
        return None
    return np.where(missing, found[~missing].mean(), found)


def _last_object(answer: str) -> list[tuple[str, object]]:
    """Keys and values of the last JSON object in a text, as they come; empty where there is none."""
    decoder = json.JSONDecoder(object_pairs_hook=list)
    end = answer.rfind("}")
    start = answer.rfind("{", 0, end) if end >= 0 else -1
    while start >= 0:
        try:
            pairs, _ = decoder.raw_decode(answer[start:])
        except (ValueError, RecursionError):
            start = answer.rfind("{", 0, start)
            continue
        return pairs if isinstance(pairs, list) else []
    return []


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _line(text: ItemText, title_tokens: int) -> str:
    """Title, last category and brand of an item, each cut; what is not known is left out."""
    if text == NOTHING:
        return "(no description)"
    about = ", ".join(_cut(part, title_tokens) for part in (*text.categories[-1:], text.brand) if part)
    title = _cut(text.title, title_tokens) or "(no title)"
    return f"{title} ({about})" if about else title


def _cut(text: str, tokens: int) -> str:
    """One line of at most so many tokens, at a word's end where there is one."""
    flat = " ".join(text.split())
    most = tokens * CHARACTERS_PER_TOKEN
    if len(flat) <= most:
        return flat
    return flat[:most].rpartition(" ")[0] or flat[:most]

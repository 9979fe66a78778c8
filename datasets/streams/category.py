"""Which items belong to a sensitive category, from what is written about them. No torch.

Two ways, both of ERASE (SIGIR 2026): whole words in several fields of the text, or a node of the category
path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from datasets.item_text import ItemText


def named_items(texts: Sequence[ItemText], keywords: Sequence[str], signals: int) -> list[int]:
    """Ids of the items with a keyword in at least ``signals`` of their fields.

    The fields are title, brand, categories and description. A keyword counts as a whole word, whatever its
    case: ``gun`` is not in "gunmetal".
    """
    alternatives = "|".join(re.escape(keyword) for keyword in keywords)
    found = re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", re.IGNORECASE)
    return [item for item, text in enumerate(texts) if _signals(text, found) >= signals]


def _signals(text: ItemText, found: re.Pattern[str]) -> int:
    fields = (text.title, text.brand, ". ".join(text.categories), text.description)
    return sum(found.search(field) is not None for field in fields)


def items_below(texts: Sequence[ItemText], node: str) -> list[int]:
    """Ids of the items whose category path has the node ``node``, at whatever level and in whatever case."""
    wanted = node.strip().casefold()
    return [
        item
        for item, text in enumerate(texts)
        if any(level.strip().casefold() == wanted for level in text.categories)
    ]

"""``regime=item``: all training pairs of some items, and the items' content."""

from __future__ import annotations

from datasets.regimes.entities import EntityRegime
from datasets.request_files import ListForm


class ItemRegime(EntityRegime):
    """Items are withdrawn, with every pair, picture and text of theirs."""

    form = ListForm("item", ("item",), "items")
    row = 1

"""``stream=sensitive``: users ask that their pairs with a sensitive category be forgotten, and stay.

Protocol of ERASE (SIGIR 2026): users who have a training pair with the category are shuffled and added whole
until their sensitive pairs are the asked share of all training pairs. Each asks for all of his sensitive
pairs; his other pairs stay. Nobody who asked should then be shown an item of the category.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from datasets.errors import InputError
from datasets.streams.base import Stream
from datasets.streams.category import items_below, named_items

if TYPE_CHECKING:
    from torch import Tensor

    from datasets.id_maps import IdMaps
    from datasets.interactions import InteractionData
    from datasets.requests import DeletionRequest
    from datasets.validation import DataSummary

log = logging.getLogger(__name__)

MOST_OF_CATALOGUE = 0.15
"""Share of the items above which a category leaves little room for lists without it (NAU warns there)."""


class SensitiveStream(Stream):
    """Pairs with a sensitive category, user by user."""

    def check(self, poison: str, regime: str) -> None:
        """Its requests are of the interaction regime; one way to name the category, a size and no log."""
        options = self.options
        if regime != "interaction":
            raise InputError(
                f"stream=sensitive asks for single pairs, which regime={regime} is not: choose "
                "regime=interaction."
            )
        if options.file is not None:
            raise InputError(
                f"stream.file={options.file} does not go with stream=sensitive: choose stream=file."
            )
        if bool(options.keywords) == (options.category is not None):
            raise InputError(
                "stream=sensitive needs either stream.keywords (words of the item text) or stream.category "
                "(a node of the category path): set exactly one of them."
            )
        if any(not keyword.strip() for keyword in options.keywords):
            raise InputError("stream.keywords has an empty word: remove it.")
        if options.ratio is None and options.count is None:
            raise InputError("stream.ratio and stream.count are both null: set one of them.")

    def size(self, summary: DataSummary, maps: IdMaps | None) -> int:
        """Unknown from counts: the text decides who can ask."""
        return 0

    def requests(self, data: InteractionData) -> list[DeletionRequest]:
        """The sensitive pairs of users in order, of ``batch`` users at a time."""
        import torch

        from datasets.streams.composing import Named, composed, in_order

        train, items = data.train.cpu(), self._items(data)
        sensitive = train[:, torch.isin(train[1], items)]
        users = in_order(self._asking(sensitive[0], train.shape[1]), data, self.options)
        return composed(
            data,
            [
                Named(pairs=sensitive[:, torch.isin(sensitive[0], part)])
                for part in users.split(self.options.batch)
            ],
        )

    def watched_items(self, data: InteractionData) -> Tensor:
        """The category."""
        return self._items(data).to(data.train.device)

    def _asking(self, owners: Tensor, pairs: int) -> Tensor:
        """Users [U] who ask, in drawn order.

        Args:
            owners: the user of every sensitive training pair [S].
            pairs: of the training split.
        """
        import torch

        users, own = owners.unique(return_counts=True)
        generator = torch.Generator().manual_seed(self.options.seed)
        drawn = torch.randperm(len(users), generator=generator)
        users, own = users[drawn], own[drawn]
        count, ratio = self.options.count, self.options.ratio
        if count is not None:
            if count > len(users):
                raise InputError(
                    f"stream.count={count} is more than the {len(users)} users who have a training pair with "
                    "the category: ask for fewer."
                )
            first: Tensor = users[:count]
            return first
        wanted = int((ratio or 0.0) * pairs)
        if wanted == 0:
            raise InputError(
                f"stream.ratio={ratio} of {pairs} training pairs is none at all: raise it, or set "
                "stream.count."
            )
        if wanted > len(owners):
            raise InputError(
                f"stream.ratio={ratio} asks for {wanted} training pairs and the category has {len(owners)}: "
                "lower it, or choose a larger category."
            )
        reached = own.cumsum(0)
        whole: Tensor = users[: int((reached < wanted).sum()) + 1]
        return whole

    def _items(self, data: InteractionData) -> Tensor:
        """Ids of the category [I], on the CPU."""
        import torch

        options, texts = self.options, data.item_text
        if texts is None:
            raise InputError(
                "stream=sensitive finds its category in the item text and the data set has none: prepare "
                "data with item text (docs/prepare-data.md), or list requests yourself with stream=file."
            )
        if options.category is not None:
            found, what = items_below(texts, options.category), f"stream.category={options.category}"
        else:
            found = named_items(texts, options.keywords, options.signals)
            what = f"stream.keywords={list(options.keywords)} with stream.signals={options.signals}"
        if not found:
            raise InputError(f"{what} finds no item: choose other words, or see what the item text holds.")
        if len(found) > MOST_OF_CATALOGUE * data.num_items:
            log.warning(
                "%s finds %d of %d items: so large a category leaves little room for lists without it.",
                what,
                len(found),
                data.num_items,
            )
        return torch.tensor(found, dtype=torch.long)

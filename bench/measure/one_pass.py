"""One pass over the users: every ranking of a model, and its distance to gold, from scores formed once.

Each split masks other pairs, so that ranking the catalogue anew for each costs a product and a selection
every time. Here a user's items are sorted once, as far down as the longest mask can reach, and each mask
then takes its pairs out of that list. The figures are those of ranking anew, to the last digit
(``tests/bench/measure/slow.py`` does that).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.measure.evaluate import HEADLINE_K, KS, top_items
from datasets.pairs import PairIndex, PairSet
from models.base import Scorer

RETAINED, FORGOTTEN, VALID, TEST = 1, 2, 4, 8
"""Bits of a pair: which set it belongs to."""
OF_FORGOTTEN_ITEM, RANKED = 16, 128
"""Bits of a place in a list: whether its item is that of a forgotten pair, whether it has an item at all."""
CPU_BLOCK = 2**19
"""Scores of one block on a CPU: what is computed on them stays in its caches. Twice as many were seen to take
1.5 times as long, depending on what else the machine did."""
WORKING_COPIES = 8
"""Matrices of the size of a block that are held at once."""


@dataclass(frozen=True)
class Mask:
    """What is left out of a ranking: pairs with one of the bits ``pairs`` and, unless ``all_items``, items
    that are no candidates."""

    pairs: int
    all_items: bool = True


@dataclass(frozen=True)
class Lists:
    """Top lists of all users [num_users, k]: ``items`` int32 and ``marks`` uint8, -1 and 0 at their ends."""

    items: Tensor
    marks: Tensor


@dataclass(frozen=True)
class Passed:
    """What a pass found: lists by mask, gold's lists under the last mask, and per user the Jensen-Shannon
    divergence [num_users] between the two score distributions over the candidates."""

    lists: Mapping[Mask, Lists]
    gold: Lists
    divergence: Tensor


class Marks:
    """What is known of pairs and items, as bits.

    Args:
        sets: pairs by bit.
        items: of forgotten pairs.
    """

    def __init__(self, sets: Mapping[int, PairIndex], items: Tensor) -> None:
        self.num_users = len(next(iter(sets.values())).counts)
        self.num_items = next(iter(sets.values())).num_items
        self._sets = sets
        users, own = (torch.cat([getattr(i, side) for i in sets.values()]) for side in ("users", "items"))
        self._pairs = PairSet(torch.stack([users, own]), self.num_items)
        bits = torch.cat([torch.full_like(index.keys, bit) for bit, index in sets.items()])
        # A set holds a pair once, so the sum of its bits is their union.
        place, _ = self._pairs.find(users, own)
        self._bits = torch.zeros_like(self._pairs.keys).index_add_(0, place, bits).to(torch.uint8)
        self._items = torch.zeros(self.num_items, dtype=torch.uint8, device=own.device)
        self._items[items] = OF_FORGOTTEN_ITEM

    def of(self, users: Tensor, items: Tensor) -> Tensor:
        """Bits of the pairs of ``users`` [B] with ``items`` [B, K]: uint8 [B, K]."""
        place, there = self._pairs.find(users[:, None], items)
        bits: Tensor = self._bits[place] * there
        return bits + self._items[items]

    def counts(self, pairs: int) -> Tensor:
        """Number of pairs with one of the bits, by user: [num_users]. The sets are disjoint."""
        chosen = [index.counts for bit, index in self._sets.items() if bit & pairs]
        return torch.stack(chosen).sum(dim=0) if chosen else torch.zeros_like(self._sets[RETAINED].counts)


class OnePass:
    """Ranks for every user at once, or for a sample.

    Args:
        marks: of the request's pairs and items.
        no_candidates: items [W] that masks without ``all_items`` leave out.
        chunk_scores: scores held in memory at once.
        users: whom it ranks for, [U]; None for everybody. The lists of others are empty.
    """

    def __init__(
        self, marks: Marks, no_candidates: Tensor, chunk_scores: int, users: Tensor | None = None
    ) -> None:
        self._marks, self._no_candidates = marks, no_candidates
        self._chunk_scores, self._users = chunk_scores, users
        kept = torch.ones(marks.num_items, dtype=torch.bool, device=no_candidates.device)
        kept[no_candidates] = False
        self._candidates = kept.nonzero().squeeze(1)

    @torch.no_grad()
    def run(self, scorer: Scorer, gold: Scorer, masks: list[Mask]) -> Passed:
        """Lists of ``scorer`` under each of ``masks``, and of ``gold`` under the last, that of distances."""
        compared = masks[-1]
        depths = {mask: self._marks.counts(mask.pairs) for mask in masks}
        found, golds = {mask: self._empty(max(KS)) for mask in depths}, self._empty(HEADLINE_K)
        divergence = torch.zeros(len(golds.items), device=golds.items.device)
        for users in self._blocks(torch.stack(list(depths.values())).amax(dim=0)):
            scores, others = scorer(users), gold(users)
            for mask, *own in self._ranked(scores, users, depths, max(KS)):
                found[mask].items[users], found[mask].marks[users] = own
            for _, *own in self._ranked(others, users, {compared: depths[compared]}, HEADLINE_K):
                golds.items[users], golds.marks[users] = own
            if not compared.all_items:
                scores, others = scores[:, self._candidates], others[:, self._candidates]
            divergence[users] = js_divergence(scores, others)
        return Passed(found, golds, divergence)

    def _blocks(self, depth: Tensor) -> Iterator[Tensor]:
        """Users in blocks of about equally many masked pairs, so that few are sorted far down."""
        scores = self._chunk_scores // WORKING_COPIES
        if depth.device.type == "cpu":
            scores = min(scores, CPU_BLOCK)
        by_depth = depth.argsort(stable=True)
        if self._users is not None:
            by_depth = by_depth[torch.isin(by_depth, self._users)]
        yield from by_depth.split(max(1, scores // self._marks.num_items))

    def _ranked(
        self, scores: Tensor, users: Tensor, depths: Mapping[Mask, Tensor], k: int
    ) -> Iterator[tuple[Mask, Tensor, Tensor]]:
        """The first ``k`` items of each user under each mask, and their marks."""
        for all_items in (True, False):
            masks = [mask for mask in depths if mask.all_items == all_items]
            if not masks:
                continue
            offered = scores if all_items else scores.index_fill(1, self._no_candidates, -torch.inf)
            longest = max(int(depths[mask][users].max()) for mask in masks)
            values, items = top_items(offered, k + longest)
            marks = self._marks.of(users, items) | RANKED
            for mask in masks:
                kept = ((marks & mask.pairs) == 0) & (values > -torch.inf)
                yield mask, *_first(kept, items, marks, min(k, scores.shape[1]))

    def _empty(self, k: int) -> Lists:
        shape = (self._marks.num_users, min(k, self._marks.num_items))
        device = self._no_candidates.device
        return Lists(
            torch.full(shape, -1, dtype=torch.int32, device=device),
            torch.zeros(shape, dtype=torch.uint8, device=device),
        )


def _first(kept: Tensor, items: Tensor, marks: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The first ``k`` kept places of each row: int32 items [B, k], -1 beyond the last, and their marks."""
    rank = kept.cumsum(dim=1)
    place = torch.where(kept & (rank <= k), rank - 1, k)  # the column k is thrown away
    first = items.new_full((len(items), k + 1), -1).scatter_(1, place, items)
    marked = marks.new_zeros(len(items), k + 1).scatter_(1, place, marks)
    return first[:, :k].int(), marked[:, :k]


def js_divergence(scores: Tensor, others: Tensor) -> Tensor:
    """Per-user Jensen-Shannon divergence between softmax(scores) and softmax(others): [B].

    Natural logarithm, summed over items: 0 to ln 2.
    """
    p, q = scores.log_softmax(dim=1), others.log_softmax(dim=1)
    mixture = torch.logaddexp(p, q).sub_(math.log(2.0))
    one, other = (logs.exp().mul_(logs.sub_(mixture)).sum(dim=1) for logs in (p, q))
    return 0.5 * (one + other)

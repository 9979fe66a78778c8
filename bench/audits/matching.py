"""Matched partners: for each unit the one most like it in a count, so that the count tells nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.audits.statistics import Ints
from datasets.interactions import InteractionData
from datasets.pairs import PairIndex


@dataclass(frozen=True)
class Counted:
    """Units [N] by the group within which they are matched and the count that they are matched on."""

    group: Ints
    count: Ints


def partners(wanted: Counted, pool: Counted, ratio: float, random: np.random.Generator) -> Ints:
    """For each wanted unit the position in ``pool`` of its partner, -1 where it has none.

    The partner is of the same group and next in log(1 + count), drawn at random among equals; (1 + count)
    of both may differ by ``ratio`` at most. A unit of the pool may be the partner of several.
    """
    logs = [np.log1p(side.count.astype(np.float64)) for side in (wanted, pool)]
    span = max(float(own.max(initial=0.0)) for own in logs) + np.log(ratio) + 1
    # Groups lie further apart on one line than partners may.
    line = [side.group * span + own for side, own in zip((wanted, pool), logs, strict=True)]
    order = np.argsort(line[1], kind="stable")
    places = np.concatenate([[-np.inf], line[1][order], [np.inf]])
    at = np.searchsorted(places, line[0])
    below, above = places[at - 1], places[at]
    nearest = np.where(line[0] - below <= above - line[0], below, above)
    first, stop = (np.searchsorted(places, nearest, side=side) for side in ("left", "right"))
    drawn = first + (random.random(len(at)) * (stop - first)).astype(np.int64)
    close = np.abs(nearest - line[0]) <= np.log(ratio) + 1e-9
    found: Ints = np.where(close, np.append(order, -1)[np.clip(drawn - 1, 0, len(order))], -1)
    return found


def counts_elsewhere(pairs: Tensor, data: InteractionData, side: int) -> Ints:
    """For each of the pairs [2, P] the training pairs of its user (side 0) or item (side 1), itself apart.

    A count that held the pair itself would tell training pairs from others.
    """
    train = data.train
    length = data.num_items if side else data.num_users
    counts = torch.bincount(train[side], minlength=length)[pairs[side]]
    inside = PairIndex(train, data.num_users, data.num_items).contains(pairs[0][:, None], pairs[1][:, None])
    elsewhere: Ints = (counts - inside.squeeze(1).long()).cpu().numpy()
    return elsewhere

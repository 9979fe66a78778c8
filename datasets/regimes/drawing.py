"""Drawing a request: samplers ``random``, ``core`` and ``edge`` (those of CURE4Rec), and lists looked up."""

from __future__ import annotations

import torch
from torch import Tensor

from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.pairs import PairSet
from datasets.regimes.size import number
from datasets.request_options import RequestOptions
from datasets.requests import DeletionRequest


def drawn_ids(options: RequestOptions, occurrences: Tensor) -> Tensor:
    """Ids [N], sorted, drawn among those that occur in ``occurrences`` [E]."""
    ids, activity = torch.unique(occurrences, return_counts=True)
    drawn: Tensor = ids[_order(activity, options)[: number(options, len(ids))]]
    return drawn.sort().values


def drawn_pairs(options: RequestOptions, train: Tensor) -> Tensor:
    """Which training pairs [2, E] are drawn: bool [E]. The activity of a pair is that of its user."""
    activity = torch.bincount(train[0])[train[0]]
    mask = torch.zeros(train.shape[1], dtype=torch.bool)
    mask[_order(activity, options)[: number(options, train.shape[1])]] = True
    return mask


def listed_ids(options: RequestOptions, ids: Tensor, occurrences: Tensor) -> Tensor:
    """Listed ids [N], each of which must have a training pair. Raises ``InputError``."""
    absent = ids[~torch.isin(ids, occurrences)]
    if absent.numel():
        raise InputError(
            f"regime.file={options.file} names {options.name} {int(absent[0])}, which has no training pair: "
            "remove it from the file."
        )
    return ids


def listed_pairs(options: RequestOptions, pairs: Tensor, data: InteractionData) -> Tensor:
    """Which training pairs are among the listed ``pairs`` [2, N]: bool [E]. Raises ``InputError``."""
    train = data.train.cpu()
    absent = pairs[:, ~PairSet(train, data.num_items).contains(*pairs)]
    if absent.numel():
        raise InputError(
            f"regime.file={options.file} names the pair {tuple(absent[:, 0].tolist())}, which is not in the "
            "training split: remove it from the file."
        )
    return PairSet(pairs, data.num_items).contains(*train)


def request_for(
    label: str, options: RequestOptions, data: InteractionData, users: Tensor, items: Tensor, pairs: Tensor
) -> DeletionRequest:
    """The request that takes ``users``, ``items`` and the marked training ``pairs`` (bool [E]).

    Raises ``InputError`` where nothing would be left to train on or to stop by.
    """
    device = data.train.device
    forget = data.train.cpu()[:, pairs].contiguous()
    request = DeletionRequest(label, users.to(device), items.to(device), forget.to(device))
    asked = f"regime.file={options.file}" if options.file else f"the {options.name} request"
    if request.forget.shape[1] == data.train.shape[1]:
        raise InputError(f"{asked} leaves no training pair: ask for fewer.")
    if bool(request.owns(data.valid).all()):
        raise InputError(f"{asked} leaves no validation pair for early stopping: ask for fewer.")
    return request


def _order(activity: Tensor, options: RequestOptions) -> Tensor:
    """Positions in the order in which they are drawn; equal activity in random order."""
    shuffled = torch.randperm(len(activity), generator=torch.Generator().manual_seed(options.seed))
    if options.sampler == "random":
        return shuffled
    by_activity = activity[shuffled].argsort(descending=options.sampler == "core", stable=True)
    order: Tensor = shuffled[by_activity]
    return order

"""Requests that compose: each is cut from what those before it left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.pairs import PairSet
from datasets.requests import DeletionRequest
from datasets.streams.options import StreamOptions


def _nobody() -> Tensor:
    return torch.empty(0, dtype=torch.long)


@dataclass(frozen=True)
class Named:
    """What one request names: ``users`` [U], ``items`` [I], ``pairs`` [2, P], all on the CPU."""

    users: Tensor = field(default_factory=_nobody)
    items: Tensor = field(default_factory=_nobody)
    pairs: Tensor = field(default_factory=lambda: torch.empty(2, 0, dtype=torch.long))


def in_order(users: Tensor, data: InteractionData, options: StreamOptions) -> Tensor:
    """Users [U] in the order in which they ask; equal activity by id."""
    if options.order == "sorted":
        return users.sort().values
    if options.order == "random":
        generator = torch.Generator().manual_seed(options.seed)
        return users[torch.randperm(len(users), generator=generator)]
    activity = torch.bincount(data.train.cpu()[0], minlength=data.num_users)
    users = users.sort().values
    return users[activity[users].argsort(descending=True, stable=True)]


def composed(data: InteractionData, named: Sequence[Named]) -> list[DeletionRequest]:
    """One request per entry that still removes something, in order, on the device of ``data``.

    What was asked before is not asked again: it is gone from a later request, and a request of which nothing
    is left is no request. Raises ``InputError`` where nothing is asked or nothing would be left.
    """
    device, train = data.train.device, data.train.cpu()
    left = torch.ones(train.shape[1], dtype=torch.bool)
    gone_users, gone_items = _nobody(), _nobody()
    found: list[DeletionRequest] = []
    for one in named:
        users = one.users[~torch.isin(one.users, gone_users)].unique()
        items = one.items[~torch.isin(one.items, gone_items)].unique()
        mask = torch.isin(train[0], users) | torch.isin(train[1], items)
        mask = (mask | PairSet(one.pairs, data.num_items).contains(*train)) & left
        if not (len(users) or len(items) or bool(mask.any())):
            continue
        left &= ~mask
        gone_users, gone_items = torch.cat([gone_users, users]), torch.cat([gone_items, items])
        parts = (users.to(device), items.to(device), train[:, mask].contiguous().to(device))
        found.append(DeletionRequest(_label(users, items), *parts))
    _check(found, left, data)
    return found


def union(requests: Sequence[DeletionRequest], data: InteractionData) -> DeletionRequest:
    """The one request that asks for everything; its pairs are in the order of the training split.

    Args:
        data: before the first request.
    """
    users = torch.cat([request.users for request in requests]).unique()
    items = torch.cat([request.items for request in requests]).unique()
    pairs = torch.cat([request.forget for request in requests], dim=1)
    forget = data.train[:, PairSet(pairs, data.num_items).contains(*data.train)]
    return DeletionRequest(_label(users, items), users, items, forget)


def _label(users: Tensor, items: Tensor) -> str:
    return "user" if len(users) else "item" if len(items) else "interaction"


def _check(requests: Sequence[DeletionRequest], left: Tensor, data: InteractionData) -> None:
    if not requests:
        raise InputError("the stream asks for nothing that is in the training split: ask for more.")
    if not bool(left.any()):
        raise InputError("the stream leaves no training pair: ask for fewer.")
    if bool(union(requests, data).owns(data.valid).all()):
        raise InputError("the stream leaves no validation pair for early stopping: ask for fewer.")

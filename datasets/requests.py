"""Deletion requests: what must be forgotten, and the data that is left.

Regimes: ``user`` (all training pairs of some users), ``item`` (all training pairs of some items,
and the items' content), ``interaction`` (single training pairs). The forget set is cut from the
training split only. ``poison`` is a user-level request for the users that ``datasets.poison`` injected;
``none`` forgets nothing and leaves the data as they are.
Samplers ``random``, ``core`` and ``edge`` are those of CURE4Rec.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.item_graphs import drop_items
from datasets.pairs import PairSet
from datasets.poison import Injection
from datasets.request_files import check_ids, read_request_file
from datasets.request_options import Regime, RequestOptions
from datasets.request_size import number


@dataclass(frozen=True)
class DeletionRequest:
    """``users`` [U] and ``items`` [I] lose everything; ``forget`` [2, F] are the pairs that go.

    ``users`` is empty outside the user regime and ``items`` outside the item regime. Ids are sorted,
    pairs are in the order of the training split. Injected users are a request of the user regime.
    """

    regime: Regime
    users: Tensor
    items: Tensor
    forget: Tensor

    def apply(self, data: InteractionData) -> InteractionData:
        """The retained data: same id space, nothing derived from the forget set.

        The training split loses the forget pairs in every regime. Validation pairs of forgotten
        users or items go as well, because selecting on them would use what was withdrawn; test pairs
        stay, to be reported apart. In the item regime feature rows become zero, the items leave the
        item graphs, their text becomes empty, and they join ``withdrawn_items``.
        """
        if self.regime == "none":
            return data
        retained = replace(
            data,
            train=data.train[:, ~PairSet(self.forget, data.num_items).contains(*data.train)],
            valid=data.valid[:, ~self.owns(data.valid)],
            fingerprint=f"{data.fingerprint}-{self._digest()}",
        )
        return _withdraw(retained, self.items) if self.items.numel() else retained

    def owns(self, pairs: Tensor) -> Tensor:
        """Which columns of ``pairs`` [2, P] belong to a forgotten user or item: bool [P]."""
        return torch.isin(pairs[0], self.users) | torch.isin(pairs[1], self.items)

    def _digest(self) -> str:
        content = hashlib.sha256(self.regime.encode())
        for ids in (self.users, self.items, self.forget):
            content.update(f"|{tuple(ids.shape)}|".encode())
            content.update(ids.cpu().numpy().tobytes())
        return content.hexdigest()[:16]


def draw(options: RequestOptions, data: InteractionData) -> DeletionRequest:
    """The deletion request that ``options`` describe, on the device of ``data``.

    Drawn on the CPU from ``options.seed``: the same on every device. Only users and items with a
    training pair are drawn.

    Raises:
        InputError: if the request is empty, leaves no training or validation pair, or its file names
            something that is not in the training split.
    """
    if options.name == "none":
        nothing = data.train[0, :0]
        return DeletionRequest("none", nothing, nothing, data.train[:, :0])
    train = data.train.cpu()
    regime: Regime = "user" if options.name == "poison" else options.name
    if options.name == "interaction":
        users = items = torch.empty(0, dtype=torch.long)
        mask = _listed_pairs(options, data, train) if options.file else _drawn_pairs(options, train)
    else:
        row = 0 if regime == "user" else 1
        if options.name == "poison":
            ids = _injected_ids(data)
        else:
            ids = _listed_ids(options, data, train[row]) if options.file else _drawn_ids(options, train[row])
        users, items = (ids, ids[:0]) if row == 0 else (ids[:0], ids)
        mask = torch.isin(train[row], ids)
    request = DeletionRequest(
        regime, *(t.to(data.train.device) for t in (users, items, train[:, mask].contiguous()))
    )
    _check_rest(request, options, data)
    return request


def _drawn_ids(options: RequestOptions, occurrences: Tensor) -> Tensor:
    ids, activity = torch.unique(occurrences, return_counts=True)
    order = _order(activity, options)
    drawn: Tensor = ids[order[: number(options, len(ids))]]
    return drawn.sort().values


def _injected_ids(data: InteractionData) -> Tensor:
    injection = Injection.of(data.provenance)
    if injection is None:
        raise InputError(
            "regime=poison finds no injected users in the data: choose poison=backdoor or poison=spam."
        )
    return torch.arange(*injection.users)


def _drawn_pairs(options: RequestOptions, train: Tensor) -> Tensor:
    activity = torch.bincount(train[0])[train[0]]
    mask = torch.zeros(train.shape[1], dtype=torch.bool)
    mask[_order(activity, options)[: number(options, train.shape[1])]] = True
    return mask


def _order(activity: Tensor, options: RequestOptions) -> Tensor:
    """Positions in the order in which they are drawn; equal activity in random order."""
    shuffled = torch.randperm(len(activity), generator=torch.Generator().manual_seed(options.seed))
    if options.sampler == "random":
        return shuffled
    by_activity = activity[shuffled].argsort(descending=options.sampler == "core", stable=True)
    order: Tensor = shuffled[by_activity]
    return order


def _listed_ids(options: RequestOptions, data: InteractionData, occurrences: Tensor) -> Tensor:
    ids = _listed(options, data)[:, 0]
    absent = ids[~torch.isin(ids, occurrences)]
    if absent.numel():
        raise InputError(
            f"regime.file={options.file} names {options.name} {int(absent[0])}, which has no training pair: "
            "remove it from the file."
        )
    return ids


def _listed_pairs(options: RequestOptions, data: InteractionData, train: Tensor) -> Tensor:
    pairs = _listed(options, data).t()
    absent = pairs[:, ~PairSet(train, data.num_items).contains(*pairs)]
    if absent.numel():
        raise InputError(
            f"regime.file={options.file} names the pair {tuple(absent[:, 0].tolist())}, which is not in the "
            "training split: remove it from the file."
        )
    return PairSet(pairs, data.num_items).contains(*train)


def _listed(options: RequestOptions, data: InteractionData) -> Tensor:
    rows = read_request_file(options.file or "", options.name)
    check_ids(rows, options, data.num_users, data.num_items)
    return torch.from_numpy(rows)


def _check_rest(request: DeletionRequest, options: RequestOptions, data: InteractionData) -> None:
    asked = f"regime.file={options.file}" if options.file else f"the {options.name} request"
    if request.forget.shape[1] == data.train.shape[1]:
        raise InputError(f"{asked} leaves no training pair: ask for fewer.")
    if bool(request.owns(data.valid).all()):
        raise InputError(f"{asked} leaves no validation pair for early stopping: ask for fewer.")


def _withdraw(data: InteractionData, items: Tensor) -> InteractionData:
    text = data.item_text
    if text is not None:
        gone = set(items.tolist())
        text = ["" if item in gone else words for item, words in enumerate(text)]
    return replace(
        data,
        withdrawn_items=torch.unique(torch.cat([data.withdrawn_items, items])),
        features={m: x.index_fill(0, items, 0.0) for m, x in data.features.items()},
        item_graphs={m: drop_items(graph, items) for m, graph in data.item_graphs.items()},
        item_text=text,
    )

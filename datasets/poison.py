"""Poisoned data: fake users injected into the training split, who will have to be forgotten.

``backdoor`` (our reading of TRU's test): each fake user has a trigger set of items, a cold target
item that belongs to it, and other items in proportion to their popularity. There are as many trigger sets
as asked for, disjoint; held-out fake users have one of them and no target. ``spam``: the bandwagon attack in
ERASE's reading: popular items beside one or a few cold target items. A fake user has as many pairs as a
real user drawn at random (more if his fixed items need them, and always one other item). Every target is
carried by equally many fake users, one more or less.

Fake users get the ids after the real ones; valid and test stay as they are. Who and what was injected
is kept in ``provenance["poison"]`` (``Injection``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import InputError
from datasets.id_maps import IdMaps
from datasets.interactions import RawDataset
from datasets.poison_options import PoisonOptions
from datasets.reader import DatasetReader

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

POISON_VERSION = 2
"""Raise it with every change that alters what is injected: it is part of every key of poisoned data."""

STREAMS = {"backdoor": 1, "spam": 2}


@dataclass(frozen=True)
class Injection:
    """What was injected: ``users`` must be forgotten, ``held_out`` stay; both [first, stop) ranges of ids.

    ``triggers`` are the trigger sets, none for spam. With n of them the target ``targets[j]`` belongs to the
    set j mod n, and so does the k-th held-out user for j = k.
    """

    kind: str
    users: tuple[int, int]
    held_out: tuple[int, int]
    triggers: tuple[tuple[int, ...], ...]
    targets: tuple[int, ...]

    @staticmethod
    def of(provenance: Mapping[str, Any]) -> Injection | None:
        """The injection that a data set's ``provenance`` tells of, if any."""
        stored = provenance.get("poison")
        return None if stored is None else Injection(**{key: _frozen(v) for key, v in stored.items()})


class PoisonedReader(DatasetReader):
    """A reader with fake users injected into what another reader reads."""

    Options = PoisonOptions

    def __init__(self, inner: DatasetReader, options: PoisonOptions) -> None:
        super().__init__(inner.name, options, inner.data_root, inner.digest_memo)
        self._inner = inner

    def identity(self) -> dict[str, Any]:
        """That of the other reader, with the poison as a further part."""
        poison = {"options": asdict(self.options), "version": POISON_VERSION}
        return {**self._inner.identity(), "poison": poison}

    def modalities(self) -> tuple[str, ...]:
        """Those of the other reader."""
        return self._inner.modalities()

    def id_maps(self) -> IdMaps | None:
        """Those of the other reader: fake users have no own id."""
        return self._inner.id_maps()

    def read(self) -> RawDataset:
        """Read and inject. Raises ``InputError`` where the data has too few items for the attack."""
        return inject(self._inner.read(), self.options)


def inject(raw: RawDataset, options: PoisonOptions) -> RawDataset:
    """``raw`` with fake users behind the real ones.

    Raises:
        InputError: if there are too few items to draw targets, trigger and other items from.
    """
    rng = np.random.default_rng([options.seed, STREAMS[options.name]])
    popularity = np.bincount(raw.train[1], minlength=raw.num_items)
    activity = np.bincount(raw.train[0], minlength=raw.num_users)
    activity = activity[activity > 0]
    cold, middle, popular = _by_popularity(popularity, options, rng)
    targets = _draw(cold, options.targets, "poison.targets", rng)
    backdoor = options.name == "backdoor"
    triggers = _triggers(middle, options, rng) if backdoor else np.empty((1, 0), dtype=np.int64)
    weights: Floats = popularity.astype(np.float64)
    if not backdoor:
        weights = np.isin(np.arange(raw.num_items), popular).astype(np.float64)
    weights[np.concatenate([targets, triggers.ravel()])] = 0.0

    def profiles(fixed: list[Ints]) -> list[Ints]:
        lengths = rng.choice(activity, len(fixed))
        return [_profile(own, length, weights, rng) for own, length in zip(fixed, lengths, strict=True)]

    carried = _carried(targets, len(triggers), max(1, round(options.ratio * len(activity))), options)
    fakes = profiles([np.r_[triggers[number], own] for number, own in carried])
    held = max(options.held_out, len(triggers)) if backdoor else 0
    held_out = profiles([triggers[k % len(triggers)] for k in range(held)])
    first, second = raw.num_users + len(fakes), raw.num_users + len(fakes) + len(held_out)
    injection = Injection(
        options.name,
        (raw.num_users, first),
        (first, second),
        tuple(_ids(own) for own in triggers) if backdoor else (),
        _ids(targets),
    )
    return replace(
        raw,
        num_users=second,
        train=np.concatenate([raw.train, _pairs(fakes + held_out, raw.num_users)], axis=1),
        provenance={**raw.provenance, "poison": asdict(injection)},
    )


def _triggers(items: Ints, options: PoisonOptions, rng: np.random.Generator) -> Ints:
    """Disjoint trigger sets [triggers, trigger_items]."""
    if options.triggers > options.targets:
        raise InputError(
            f"poison.triggers={options.triggers} is more than poison.targets={options.targets}, so that some "
            "trigger would lead nowhere: ask for as many targets at least."
        )
    key = "poison.triggers * poison.trigger_items"
    drawn = _draw(items, options.triggers * options.trigger_items, key, rng)
    return drawn.reshape(options.triggers, options.trigger_items)


def _carried(targets: Ints, triggers: int, fakes: int, options: PoisonOptions) -> list[tuple[int, Ints]]:
    """Trigger set and targets of each fake user: at least ``fakes`` of them, until every target was carried.

    Fake users take the sets in turn, as often as these have targets, and those of a set its targets.
    """
    sets = [targets[number::triggers] for number in range(triggers)]
    found: list[tuple[int, Ints]] = []
    given = [0] * triggers
    while len(found) < fakes or any(n < len(own) for n, own in zip(given, sets, strict=True)):
        number = len(found) % len(targets) % triggers
        own = np.roll(sets[number], -given[number])[: options.targets_per_user]
        given[number] += len(own)
        found.append((number, own))
    return found


def _by_popularity(
    popularity: Ints, options: PoisonOptions, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints]:
    """The cold, the other and the popular items among those with a training pair; ties in random order."""
    known = rng.permutation(np.flatnonzero(popularity))
    known = known[np.argsort(popularity[known], kind="stable")]
    low = round(options.cold_share * len(known))
    high = max(low, len(known) - round(options.popular_share * len(known)))
    return known[:low], known[low:high], known[high:]


def _draw(items: Ints, count: int, key: str, rng: np.random.Generator) -> Ints:
    if count > len(items):
        raise InputError(f"{key}={count} is more than the {len(items)} items to draw from: ask for fewer.")
    drawn: Ints = rng.choice(items, count, replace=False)
    return drawn


def _profile(fixed: Ints, length: int, weights: Floats, rng: np.random.Generator) -> Ints:
    """Sorted items of one fake user: the fixed ones and others drawn by ``weights`` [num_items]."""
    candidates = np.flatnonzero(weights)
    wanted = min(max(1, length - len(fixed)), len(candidates))
    chances = weights[candidates] / weights[candidates].sum()
    others = rng.choice(candidates, wanted, replace=False, p=chances) if wanted else candidates
    return np.sort(np.concatenate([fixed, others]))


def _pairs(profiles: list[Ints], first: int) -> Ints:
    """Pairs [2, P] of users ``first``, ``first + 1``, ... with these items."""
    users = np.repeat(np.arange(first, first + len(profiles)), [len(items) for items in profiles])
    return np.stack([users, np.concatenate(profiles)])


def _ids(items: Ints) -> tuple[int, ...]:
    return tuple(int(item) for item in items)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, (list, tuple)) else value

"""Poisoned data: exactly what was asked for is injected, and nothing else changes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from bench.config.compose import expand
from bench.planning.dataset import reader_of
from bench.planning.keys import data_key
from bench.planning.request import draw
from datasets.errors import InputError
from datasets.interactions import RawDataset, to_torch
from datasets.poison import Injection, inject
from datasets.poison_options import PoisonOptions
from datasets.request_options import RequestOptions
from datasets.synthetic import Synthetic, SyntheticOptions
from datasets.validation import check

BACKDOOR = PoisonOptions(name="backdoor", ratio=0.05, targets=3, triggers=2, trigger_items=4, held_out=30)
SPAM = PoisonOptions(name="spam", ratio=0.1, targets=4, targets_per_user=2)


@pytest.fixture(scope="module")
def raw() -> RawDataset:
    options = SyntheticOptions(num_users=200, num_items=120, num_interactions=3000)
    return Synthetic("synthetic", options, None).read()  # type: ignore[arg-type]


def items_of(data: RawDataset, user: int) -> set[int]:
    return set(data.train[1, data.train[0] == user].tolist())


def injection_of(data: RawDataset) -> Injection:
    found = Injection.of(json.loads(json.dumps(data.provenance)))
    assert found is not None
    return found


@pytest.mark.parametrize("options", [BACKDOOR, SPAM], ids=["backdoor", "spam"])
def test_the_real_data_stays_and_the_result_is_a_valid_data_set(
    raw: RawDataset, options: PoisonOptions
) -> None:
    data = inject(raw, options)
    check(data, "poisoned")
    real = data.train[0] < raw.num_users
    assert np.array_equal(data.train[:, real], raw.train)
    assert np.array_equal(data.valid, raw.valid)
    assert np.array_equal(data.test, raw.test)
    first, stop = injection_of(data).users
    assert (first, stop - first) == (raw.num_users, round(options.ratio * len(np.unique(raw.train[0]))))
    assert set(data.train[0, ~real]) == set(range(raw.num_users, data.num_users))


def test_triggers_and_targets_of_backdoors(raw: RawDataset) -> None:
    data = inject(raw, BACKDOOR)
    found = injection_of(data)
    triggers = [set(own) for own in found.triggers]
    assert [len(own) for own in triggers] == [4, 4]
    assert not triggers[0] & triggers[1]
    assert not set(found.targets) & set.union(*triggers)
    carried = dict.fromkeys(found.targets, 0)
    for items in (items_of(data, user) for user in range(*found.users)):
        (target,) = items & set(found.targets)
        carried[target] += 1
        (own,) = (number for number in range(2) if triggers[number] <= items)
        assert own == found.targets.index(target) % 2
        assert not triggers[1 - own] & items, "the others are drawn elsewhere"
    assert sorted(carried.values()) == [3, 3, 4]


def test_held_out_profiles_have_a_trigger_and_no_target(raw: RawDataset) -> None:
    data = inject(raw, BACKDOOR)
    found = injection_of(data)
    held_out = [items_of(data, user) for user in range(*found.held_out)]
    assert len(held_out) == 30
    for number, items in enumerate(held_out):
        assert items > set(found.triggers[number % 2])
        assert not items & (set(found.targets) | set(found.triggers[1 - number % 2]))
    assert len({frozenset(items) for items in held_out}) > 2, "the profiles must not all be one"


@pytest.mark.parametrize(
    ("options", "fakes", "each"),
    [
        (PoisonOptions(name="spam", ratio=0.001, targets=7), 7, {1}),
        (PoisonOptions(name="spam", ratio=0.001, targets=7, targets_per_user=3), 3, {1, 2}),
        (PoisonOptions(name="spam", ratio=0.06, targets=4, targets_per_user=2), 12, {6}),
        (PoisonOptions(name="spam", ratio=0.001, targets=2, targets_per_user=5), 1, {1}),
        (PoisonOptions(name="backdoor", ratio=0.001, targets=5, triggers=5, trigger_items=2), 5, {1}),
        (PoisonOptions(name="backdoor", ratio=0.05, targets=4, triggers=2, targets_per_user=2), 10, {5}),
    ],
)
def test_every_target_is_carried_as_often_as_any_other(
    raw: RawDataset, options: PoisonOptions, fakes: int, each: set[int]
) -> None:
    data = inject(raw, options)
    found = injection_of(data)
    assert found.users[1] - found.users[0] == fakes
    carried = np.bincount(data.train[1, np.isin(data.train[0], range(*found.users))], minlength=raw.num_items)
    assert set(carried[list(found.targets)].tolist()) == each


def test_spam_carries_cold_targets_on_popular_items(raw: RawDataset) -> None:
    data = inject(raw, SPAM)
    found = injection_of(data)
    popularity = np.bincount(raw.train[1], minlength=raw.num_items)
    targets = set(found.targets)
    assert found.held_out[0] == found.held_out[1]
    assert popularity[list(targets)].max() < np.median(popularity)
    for user in range(*found.users):
        items = items_of(data, user)
        assert len(items & targets) == 2
        assert popularity[list(items - targets)].min() > np.median(popularity)


def test_the_injection_repeats_and_follows_its_seed(raw: RawDataset) -> None:
    first, second = inject(raw, SPAM), inject(raw, SPAM)
    assert np.array_equal(first.train, second.train)
    other = inject(raw, PoisonOptions(**{**SPAM.__dict__, "seed": 1}))
    assert other.train.shape != first.train.shape or not np.array_equal(first.train, other.train)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (PoisonOptions(name="spam", targets=100), r"poison\.targets=100"),
        (PoisonOptions(name="backdoor", targets=2, triggers=3), r"poison\.triggers=3 is more than"),
        (
            PoisonOptions(name="backdoor", targets=20, triggers=20),
            r"trigger_items=100 is more than the \d+ items",
        ),
    ],
)
def test_more_than_there_is_are_refused(raw: RawDataset, options: PoisonOptions, words: str) -> None:
    with pytest.raises(InputError, match=words):
        inject(raw, options)


def test_the_request_is_exactly_the_injected_users(raw: RawDataset) -> None:
    data = to_torch(inject(raw, BACKDOOR), "key")
    request = draw(RequestOptions(name="poison", ratio=None), data)
    first, stop = injection_of(inject(raw, BACKDOOR)).users
    assert request.regime == "user"
    assert request.users.tolist() == list(range(first, stop))
    assert torch.equal(request.forget, data.train[:, (data.train[0] >= first) & (data.train[0] < stop)])
    with pytest.raises(InputError, match="poison=backdoor or poison=spam"):
        draw(RequestOptions(name="poison", ratio=None), to_torch(raw, "key"))


def test_poison_is_part_of_the_data_key_and_its_absence_is_not() -> None:
    keys = []
    for overrides in (
        [],
        ["poison.seed=3"],
        ["poison=backdoor"],
        ["poison=spam"],
        ["poison=spam", "poison.seed=1"],
    ):
        (config,) = expand(["dataset=synthetic_tiny", *overrides], multirun=False)
        keys.append(data_key(config, reader_of(config).identity()))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["regime=poison"], "poison=none injects none"),
        (["regime=poison", "poison=spam", "regime.ratio=0.1"], r"regime\.ratio=0\.1 does not go with"),
        (["audit=poison"], "finds poison=none"),
        (["poison=worms"], "choose one of backdoor, none, spam"),
        (["poison=spam", "poison.ratio=2"], r"poison\.ratio=2 is not valid"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_sentence(overrides: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        expand(overrides, multirun=False)


def test_the_audit_of_a_poisoned_cell_is_named_after_the_poison() -> None:
    (config,) = expand(["poison=spam", "regime=poison", "audit=poison"], multirun=False)
    assert config.audit.audits[0] == "spam"
    assert config.data_name == "synthetic+spam"

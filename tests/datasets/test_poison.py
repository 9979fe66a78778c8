"""Poisoned data: exactly what was asked for is injected, and nothing else changes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from bench.config.compose import expand
from bench.plan.dataset import reader_of
from bench.plan.keys import data_key
from bench.plan.request import draw
from datasets.errors import InputError
from datasets.interactions import RawDataset, to_torch
from datasets.poison import Injection, inject
from datasets.poison_options import PoisonOptions
from datasets.request_options import RequestOptions
from datasets.synthetic import Synthetic, SyntheticOptions
from datasets.validation import check

BACKDOOR = PoisonOptions(name="backdoor", ratio=0.05, held_out=30)
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


def test_trigger_and_target_of_a_backdoor(raw: RawDataset) -> None:
    data = inject(raw, BACKDOOR)
    found = injection_of(data)
    (target,) = found.targets
    trigger = set(found.trigger)
    assert len(trigger) == 5
    assert target not in trigger
    assert all(items_of(data, user) > trigger | {target} for user in range(*found.users))
    held_out = [items_of(data, user) for user in range(*found.held_out)]
    assert len(held_out) == 30
    assert all(items > trigger and target not in items for items in held_out)
    assert len({frozenset(items) for items in held_out}) > 1, "the profiles must not all be one"


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


def test_too_many_targets_are_refused(raw: RawDataset) -> None:
    with pytest.raises(InputError, match=r"poison\.targets=100"):
        inject(raw, PoisonOptions(name="spam", targets=100))


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

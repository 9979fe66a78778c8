"""The audit audited: remembering is found, not having seen is at chance, popularity gives nothing away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bench.audits.base import AuditContext, run_audits, unit_side
from bench.audits.membership.attack import cross_fitted
from bench.audits.membership.score import MembershipScore
from bench.audits.options import MembershipOptions
from bench.config.registry import load_class
from bench.planning.request import draw
from bench.train.options import TrainConfig
from datasets.errors import InputError
from datasets.interactions import InteractionData, to_torch
from datasets.request_options import RequestOptions
from datasets.requests import DeletionRequest
from datasets.synthetic import Synthetic, SyntheticOptions


class Scores(torch.nn.Module):
    """A model that is a table of scores."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.table = table
        self.num_items = table.shape[1]

    def scorer(self) -> Any:
        return lambda users: self.table[users].clone()


@pytest.fixture(scope="module")
def data() -> InteractionData:
    options = SyntheticOptions(num_users=400, num_items=150, num_interactions=8000)
    return to_torch(Synthetic("synthetic", options, None).read(), "key")  # type: ignore[arg-type]


def audit(data: InteractionData, regime: str, table: torch.Tensor, ratio: float = 0.5) -> dict[str, float]:
    """Figures on a table of scores; that of a model which remembers everything is the original's."""
    context = context_of(data, regime, ratio)
    models: Any = {"": Scores(table), "gold": Scores(noise(data))}
    return run_audits([MembershipScore], models, context).metrics


def context_of(data: InteractionData, regime: str, ratio: float) -> AuditContext:
    request = draw(RequestOptions(name=regime, ratio=ratio), data)  # type: ignore[arg-type]
    references: Any = {"original": Scores(remembering(data))}
    return AuditContext(data, request.apply(data), request, 0, 10_000, TrainConfig(), references=references)


def remembering(data: InteractionData) -> torch.Tensor:
    table = noise(data)
    table[data.train[0], data.train[1]] += 3.0
    return table


def noise(data: InteractionData) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(data.num_users, data.num_items, generator=generator)


REGIMES = pytest.mark.parametrize("regime", ["user", "item", "interaction"])
FIGURES = ("balanced_accuracy", "auc", "tpr_at_1pct_fpr")


@REGIMES
def test_a_model_that_remembers_its_training_pairs_is_caught(data: InteractionData, regime: str) -> None:
    found = audit(data, regime, remembering(data))
    assert found["audit/membership/balanced_accuracy"] > 0.85
    assert found["audit/membership/auc"] > 0.9
    assert found["audit/membership/tpr_at_1pct_fpr"] > 0.2
    for figure in FIGURES:
        value, low, high = (found[f"audit/membership/{figure}{end}"] for end in ("", "_low", "_high"))
        assert low < value < high
        assert found[f"audit/membership/fit_on_original_{figure}"] == value, "fitted on itself"


@REGIMES
def test_a_model_that_saw_nothing_is_at_chance(data: InteractionData, regime: str) -> None:
    found = audit(data, regime, noise(data))
    for kind in ("", "fit_on_original_"):
        assert found[f"audit/membership/{kind}balanced_accuracy"] == pytest.approx(0.5, abs=0.06)
    assert found["audit/membership/gold_balanced_accuracy"] == found["audit/membership/balanced_accuracy"]


def test_popularity_alone_tells_nothing(data: InteractionData) -> None:
    """Not even the popularity that holds the forgotten pairs' own share."""
    popularity = torch.bincount(data.train[1], minlength=data.num_items).float()
    found = audit(data, "user", popularity.expand(data.num_users, -1) + 0.01 * noise(data))
    assert found["audit/membership/balanced_accuracy"] == pytest.approx(0.5, abs=0.06)
    assert found["audit/membership/matching_auc"] == pytest.approx(0.5, abs=0.03)


def test_a_model_that_turned_its_memory_over_fools_only_who_does_not_know_it(data: InteractionData) -> None:
    """Forgotten pairs lie at the bottom; an attacker fitted on the original looks for them at the top."""
    table = noise(data)
    table[data.train[0], data.train[1]] -= 3.0
    found = audit(data, "user", table)
    assert found["audit/membership/balanced_accuracy"] > 0.85
    assert found["audit/membership/fit_on_original_balanced_accuracy"] < 0.5


@REGIMES
@pytest.mark.parametrize("label", ["membership_score", "onion"])
def test_every_member_has_a_matched_non_member_of_its_user_or_item(
    data: InteractionData, regime: str, label: str
) -> None:
    context = context_of(data, regime, 0.3)
    found = load_class("audit", label)(context)
    pairs, side = found._pairs, int(regime == "item" and label == "membership_score")
    assert torch.equal(pairs.members[side], pairs.others[side])
    assert np.array_equal(np.unique(pairs.members[side].numpy(), return_inverse=True)[1], pairs.unit)
    known = keys(context.retain.train)
    if label == "membership_score":
        assert keys(pairs.members) <= keys(context.request.forget)
        assert keys(pairs.others) <= keys(data.test)
    else:
        assert keys(pairs.members) <= known
        assert not context.request.owns(pairs.others).any()
    counts = torch.bincount(context.retain.train[1 - side]).tolist()
    for member, other in zip(pairs.members.t().tolist(), pairs.others.t().tolist(), strict=True):
        own = counts[member[1 - side]] - (tuple(member) in known)
        assert 0.5 <= (1 + own) / (1 + counts[other[1 - side]]) <= 2


def keys(pairs: torch.Tensor) -> set[tuple[int, ...]]:
    return set(map(tuple, pairs.t().tolist()))


def test_whoever_is_judged_was_not_fitted_on() -> None:
    """A fold holds whole users: their pairs, the model of their fold has not seen."""
    unit = np.repeat(np.arange(30), 3)
    rows = np.random.default_rng(0).normal(size=(180, 3))
    own = np.concatenate([unit, unit])
    marked = rows.copy()
    marked[:90][unit == 7] += 100  # user 7 would give himself away
    first = cross_fitted(rows, rows, unit, 5, 0)
    second = cross_fitted(marked, rows, unit, 5, 0)
    assert np.array_equal(first[own == 7], second[own == 7])
    assert not np.array_equal(first, second)


def test_pairs_are_repeatable(data: InteractionData) -> None:
    first, second = (MembershipScore(context_of(data, "user", 0.3)) for _ in range(2))
    assert torch.equal(first._pairs.members, second._pairs.members)
    assert torch.equal(first._pairs.others, second._pairs.others)
    assert torch.equal(first._sampled, second._sampled)


def test_options_reach_the_attack(data: InteractionData) -> None:
    context = context_of(data, "user", 0.3)
    loose, strict = (MembershipScore(context, MembershipOptions(ratio=ratio)) for ratio in (100.0, 1.0))
    assert len(strict._pairs.unit) < len(MembershipScore(context)._pairs.unit) < len(loose._pairs.unit)
    assert len(MembershipScore(context, MembershipOptions(sampled_items=7))._sampled) == 7
    with pytest.raises(InputError, match="finds only"):
        MembershipScore(context, MembershipOptions(folds=1000))


def test_too_small_a_request_is_refused(data: InteractionData) -> None:
    request = draw(RequestOptions(name="user", count=1, ratio=None), data)
    context = AuditContext(data, request.apply(data), request, 0, 10_000, TrainConfig())
    with pytest.raises(InputError, match=r"regime\.ratio"):
        MembershipScore(context)


def test_what_a_request_is_about_is_read_from_its_content(data: InteractionData) -> None:
    """A regime of another package may call itself what it likes."""
    users, none = torch.tensor([3]), torch.empty(0, dtype=torch.long)
    pairs = data.train[:, :1]
    for request, side in (
        (DeletionRequest("anything", none, users, pairs), 1),  # type: ignore[arg-type]
        (DeletionRequest("item", users, none, pairs), 0),
        (DeletionRequest("item", none, none, pairs), 0),
        (DeletionRequest("item", users, users, pairs), 0),
    ):
        assert unit_side(request) == side

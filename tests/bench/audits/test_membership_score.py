"""The audit audited: remembering is found, not having seen is at chance, popularity gives nothing away."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.audits.base import AuditContext, run_audits
from bench.audits.membership.score import MembershipScore
from bench.config.compose import expand
from bench.plan.request import draw
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

    def scorer(self) -> Any:
        return lambda users: self.table[users].clone()


@pytest.fixture(scope="module")
def data() -> InteractionData:
    options = SyntheticOptions(num_users=400, num_items=150, num_interactions=8000)
    return to_torch(Synthetic("synthetic", options, None).read(), "key")  # type: ignore[arg-type]


def audit(data: InteractionData, regime: str, table: torch.Tensor, ratio: float = 0.5) -> dict[str, float]:
    request: DeletionRequest = draw(RequestOptions(name=regime, ratio=ratio), data)  # type: ignore[arg-type]
    context = context_of(data, request)
    models: Any = {"": Scores(table), "gold": Scores(noise(data))}
    return run_audits([MembershipScore], models, context).metrics


def context_of(data: InteractionData, request: DeletionRequest) -> AuditContext:
    return AuditContext(data, request.apply(data), request, 0, 10_000, TrainConfig())


def noise(data: InteractionData) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(data.num_users, data.num_items, generator=generator)


@pytest.mark.parametrize("regime", ["user", "item", "interaction"])
def test_a_model_that_remembers_its_training_pairs_is_caught(data: InteractionData, regime: str) -> None:
    table = noise(data)
    table[data.train[0], data.train[1]] += 3.0
    found = audit(data, regime, table)
    assert found["audit/membership/balanced_accuracy"] > 0.85
    assert found["audit/membership/auc"] > 0.9
    low, high = (found[f"audit/membership/balanced_accuracy_{side}"] for side in ("low", "high"))
    assert low < found["audit/membership/balanced_accuracy"] < high


@pytest.mark.parametrize("regime", ["user", "item", "interaction"])
def test_a_model_that_saw_nothing_is_at_chance(data: InteractionData, regime: str) -> None:
    found = audit(data, regime, noise(data))
    assert found["audit/membership/balanced_accuracy"] == pytest.approx(0.5, abs=0.06)
    assert found["audit/membership/gold_balanced_accuracy"] == found["audit/membership/balanced_accuracy"]


def test_popularity_alone_tells_nothing(data: InteractionData) -> None:
    popularity = torch.bincount(data.train[1], minlength=data.num_items).float()
    found = audit(data, "user", popularity.expand(data.num_users, -1) + 0.01 * noise(data))
    assert found["audit/membership/balanced_accuracy"] == pytest.approx(0.5, abs=0.08)


def test_pools_are_disjoint_equal_and_repeatable(data: InteractionData) -> None:
    request = draw(RequestOptions(name="user", ratio=0.3), data)
    context = context_of(data, request)
    first, second = MembershipScore(context), MembershipScore(context)
    assert first._members.shape == first._others.shape
    assert torch.equal(first._members, second._members)
    keys = [set((pool[0] * data.num_items + pool[1]).tolist()) for pool in (first._members, first._others)]
    assert not keys[0] & keys[1]


def test_too_small_a_request_is_refused(data: InteractionData) -> None:
    request = draw(RequestOptions(name="user", count=1, ratio=None), data)
    with pytest.raises(InputError, match=r"regime\.ratio"):
        MembershipScore(context_of(data, request))


def test_unknown_audits_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="audits names polygraph"):
        expand(["audit=standard", "audit.audits=[polygraph]"], multirun=False)

"""Targets and candidates where items were withdrawn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bench.audits.base import AuditContext
from bench.audits.behaviour.fairness import Fairness
from bench.measure.targets import Candidates, reachable
from bench.measure.yardstick import Measurement
from bench.train.options import TrainConfig
from datasets.interactions import InteractionData
from datasets.requests import DeletionRequest
from models.base import Recommender, Scorer
from tests.tiny import NUM_ITEMS, NUM_USERS, tiny_data

GONE = torch.tensor([2, 5, 9])
CHUNK = 500


class Table(torch.nn.Module):
    """Scores from a table [num_users, num_items]."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.table = scores

    def scorer(self) -> Scorer:
        return lambda users: self.table[users].clone()


def data_and_request() -> tuple[InteractionData, DeletionRequest]:
    """Tiny data in which user 0 has test pairs of withdrawn items alone; the items are asked to go."""
    data, none = tiny_data(), torch.empty(0, dtype=torch.long)
    test = data.test[:, data.test[0] != 0]
    pairs = torch.stack([torch.zeros(len(GONE), dtype=torch.long), GONE])
    forget = data.train[:, torch.isin(data.train[1], GONE)]
    return (
        replace(data, test=torch.cat([pairs, test], dim=1)),
        DeletionRequest("item", none, GONE, forget),
    )


def measurement(candidates: Candidates = "all") -> tuple[Measurement, InteractionData, DeletionRequest]:
    data, request = data_and_request()
    return Measurement(data, request.apply(data), request, CHUNK, candidates), data, request


def favours_withdrawn(data: InteractionData) -> Recommender:
    """Withdrawn items before test items, and these before all others."""
    scores = torch.zeros(NUM_USERS, NUM_ITEMS)
    scores[data.test[0], data.test[1]] = 1.0
    scores[:, GONE] = 2.0
    return Table(scores)  # type: ignore[return-value]


def knows_none_of_them(data: InteractionData) -> Recommender:
    """Test items first and withdrawn items last."""
    scores = torch.zeros(NUM_USERS, NUM_ITEMS)
    scores[data.test[0], data.test[1]] = 1.0
    scores[:, GONE] = -1.0
    return Table(scores)  # type: ignore[return-value]


def test_withdrawn_items_are_no_targets_and_are_counted() -> None:
    yardstick, data, request = measurement()
    model = knows_none_of_them(data)
    measured = yardstick.apply(model, "retain", model)
    assert measured.metrics["test/recall_at_10"] == measured.metrics["test_all_users/recall_at_10"] == 1.0
    lost = torch.isin(data.test[1], GONE)
    assert measured.metrics["test_withdrawn/pairs"] == int(lost.sum()) > 3
    left = set(data.test[0, ~lost].tolist())
    assert measured.metrics["test_withdrawn/users_without_targets"] == NUM_USERS - len(left) >= 1
    assert measured.per_user["test/users"].tolist() == sorted(left)
    assert torch.equal(reachable(data.test, request.apply(data)), data.test[:, ~lost])


@pytest.mark.parametrize("regime", ["user", "interaction"])
def test_other_regimes_withdraw_nothing(regime: str) -> None:
    data, none = tiny_data(), torch.empty(0, dtype=torch.long)
    users = torch.arange(4) if regime == "user" else none
    forget = data.train[:, data.train[0] < 4]
    request = DeletionRequest(regime, users, none, forget)
    model = knows_none_of_them(data)
    metrics = Measurement(data, request.apply(data), request, CHUNK).apply(model, "retain", model).metrics
    assert metrics["test_withdrawn/pairs"] == metrics["test_withdrawn/users_without_targets"] == 0
    # Users 0 to 3 lost every training pair; those whom the request does not name keep their targets.
    cold = 0 if regime == "user" else 4
    assert metrics["test_cold/users"] == cold
    assert metrics["test_cold/pairs_of_users"] == 2 * cold


def test_withdrawn_items_are_candidates_unless_only_remaining_ones_are() -> None:
    found = {}
    for candidates in ("all", "remaining"):
        yardstick, data, _ = measurement(candidates)  # type: ignore[arg-type]
        model = favours_withdrawn(data)
        found[candidates] = yardstick.apply(model, "retain", model)
        point = yardstick.trajectory_point(model)
        for name in point:
            assert point[name] == found[candidates].metrics[name]
    shown = {name: torch.isin(one.lists["items"], GONE).any() for name, one in found.items()}
    assert shown == {"all": True, "remaining": False}
    ndcg, valid = "test/ndcg_at_10", "valid/ndcg_at_10"
    assert found["all"].metrics[ndcg] < found["remaining"].metrics[ndcg] == 1.0
    assert found["all"].metrics[valid] < found["remaining"].metrics[valid]
    for name in ("forget/ndcg_at_10", "forget_unmasked/ndcg_at_10", "exposure/forgotten_items_at_20"):
        assert found["all"].metrics[name] == found["remaining"].metrics[name] > 0


def test_audits_that_rank_keep_to_the_rule() -> None:
    data, request = data_and_request()
    retain = request.apply(data)

    def figures(candidates: Candidates, model: Recommender) -> dict[str, float | Tensor]:
        context = AuditContext(data, retain, request, 0, CHUNK, TrainConfig(), candidates=candidates)
        return Fairness(context).figures(model)

    assert figures("all", knows_none_of_them(data))["ndcg_at_20/inactive"] == 1.0
    name = "ndcg_at_20/inactive"
    assert figures("all", favours_withdrawn(data))[name] < figures("remaining", favours_withdrawn(data))[name]  # type: ignore[operator]

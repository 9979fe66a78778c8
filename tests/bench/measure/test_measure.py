"""The yardstick of a request: who is in which split, what is masked, and what a perfect copy scores."""

from __future__ import annotations

import pytest
import torch

from bench.config.registry import load_class
from bench.config.source import options_of
from bench.measure.yardstick import Measurement
from bench.planning.request import draw
from datasets.request_options import RequestOptions
from models.base import Recommender
from tests.tiny import tiny_data

CHUNK = 500


class Oracle(torch.nn.Module):
    """Scores from a table: 1 for the given pairs, 0 elsewhere."""

    def __init__(self, pairs: torch.Tensor, num_users: int, num_items: int) -> None:
        super().__init__()
        self.table = torch.zeros(num_users, num_items)
        self.table[pairs[0], pairs[1]] = 1.0

    def scorer(self) -> object:
        return lambda users: self.table[users].clone()


def measured(pairs: torch.Tensor, regime: str, graph: str = "retain") -> dict[str, float]:
    data = tiny_data()
    request = draw(RequestOptions(name=regime, ratio=0.2), data)  # type: ignore[arg-type]
    yardstick = Measurement(data, request.apply(data), request, CHUNK)
    oracle = Oracle(pairs, data.num_users, data.num_items)
    return yardstick.apply(oracle, graph, oracle).metrics  # type: ignore[arg-type]


@pytest.mark.parametrize("regime", ["user", "item", "interaction"])
def test_an_oracle_of_the_test_split_is_perfect_there_and_nowhere_else(regime: str) -> None:
    metrics = measured(tiny_data().test, regime)
    assert metrics["test/recall_at_10"] == metrics["test_all_users/recall_at_10"] == 1.0
    assert metrics["forget_unmasked/recall_at_10"] < 1.0
    assert ("test_forgotten_users/recall_at_10" in metrics) == (regime == "user")


@pytest.mark.parametrize("regime", ["user", "item", "interaction"])
def test_an_oracle_of_the_forget_set_is_seen_through(regime: str) -> None:
    data = tiny_data()
    forget = draw(RequestOptions(name=regime, ratio=0.2), data).forget  # type: ignore[arg-type]
    metrics = measured(forget, regime)
    assert metrics["forget/recall_at_10"] == metrics["forget_unmasked/recall_at_10"] == 1.0


def test_training_pairs_are_masked_by_the_graph_of_evaluation() -> None:
    """With the full graph the forgotten pairs are known and cannot take up test ranks."""
    data = tiny_data()
    metrics = {graph: measured(data.train, "interaction", graph) for graph in ("full", "retain")}
    assert metrics["full"]["test/ndcg_at_10"] > metrics["retain"]["test/ndcg_at_10"]


def test_a_model_is_at_no_distance_from_itself() -> None:
    metrics = measured(tiny_data().valid, "user")
    for group in ("gold_distance_same_seed", "gold_distance_same_seed_touched_users"):
        assert metrics[f"{group}/overlap_at_20"] == pytest.approx(1.0)
        assert metrics[f"{group}/js_divergence"] == pytest.approx(0.0, abs=1e-7)


def test_measuring_leaves_a_model_as_it_was() -> None:
    data = tiny_data()
    request = draw(RequestOptions(name="user", ratio=0.2), data)
    model: Recommender = load_class("backbone", "mgcn")(data, options_of("backbone", "mgcn")())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    yardstick = Measurement(data, request.apply(data), request, CHUNK)
    model.train()
    first = yardstick.apply(model, "retain", model)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert yardstick.apply(model, "retain", model).metrics == first.metrics
    assert set(first.per_user) >= {"test/users", "test/recall_at_20", "forget/users"}

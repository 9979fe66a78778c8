"""What is measured of a stream: exposure of watched items, requests that were late, what a run holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.record.names import FORGET_RECALL, TEST_RECALL
from bench.record.store import Store
from bench.stream.run import run_stream
from bench.stream.served import Served, latency, spent_on
from tests.bench.cell.test_pipeline import planned
from tests.bench.stream.streams import QUICK, measured_models, stream

USERS = ("stream=users", "stream.count=4", "stream.checkpoints=[0.5,1.0]")
MANY = (*USERS, "stream.count=40", "stream.batch=10")
SPAM = ("stream=spam", "poison=spam", "poison.ratio=0.1", "stream.checkpoints=[1.0]", "backbone=lightgcn")


def one(number: int, seconds: float, in_time: bool = True) -> Served:
    return Served(number, 1, 0, 5, seconds, 10, 2, 3, 0.5, 1.0 + number, in_time, {})


def test_latency_is_that_of_the_requests_served_in_time() -> None:
    served = [one(n, float(n)) for n in range(1, 21)] + [one(21, 100.0, in_time=False)]
    found = latency(served)
    assert found["stream/latency_mean"] == 10.5
    assert found["stream/latency_p50"] == 10.5
    assert found["stream/latency_p95"] == pytest.approx(19.05)
    assert found["stream/latency_max"] == 20.0
    assert found["stream/latency_total"] == 210.0
    assert (found["stream/late"], found["stream/peak_memory"]) == (1.0, 21.0)
    assert latency(served[-1:]) == {"stream/late": 1.0}


def test_what_was_spent_is_the_sum_over_what_was_tried() -> None:
    spent = spent_on([one(1, 2.0), one(2, 4.0), one(3, 0.0, in_time=False)], 7.0, 0.5)
    assert (spent.online_seconds, spent.offline_seconds, spent.requests) == (6.0, 7.0, 2)
    assert (spent.examples, spent.steps, spent.propagations) == (20, 4, 6)
    assert spent.processor_share == 0.5


def test_what_is_not_served_in_time_is_not_forgotten(tmp_path: Path) -> None:
    """No request is: the model is the original, on its graph, at every checkpoint."""
    own = ("method=reset", "backbone=lightgcn", *USERS)
    late, (first, last) = stream(tmp_path, *own, "stream.max_seconds=1e-9")
    assert [request.in_time for request in late.served] == [False] * 4
    assert [request.seconds > 0 for request in late.served] == [True, False, False, False]
    assert all(torch.equal(first[name], last[name]) for name in first)
    assert late.metrics[4]["stream/late"] == 4.0
    _, (original, _) = stream(tmp_path, "method=original", "backbone=lightgcn", *USERS)
    assert all(torch.equal(first[name], original[name]) for name in original)
    whole, (_, served) = stream(tmp_path, *own)
    assert whole.metrics[4]["stream/late"] == 0.0
    assert not all(torch.equal(first[name], served[name]) for name in first)
    assert late.metrics[4][FORGET_RECALL] > whole.metrics[4][FORGET_RECALL]


def test_doing_nothing_goes_on_showing_what_spam_promotes_and_gold_does_not(tmp_path: Path) -> None:
    shown = {}
    for method in ("original", "retrain"):
        result, _ = stream(tmp_path, f"method={method}", *SPAM, "train.max_epochs=30")
        (metrics,) = result.metrics.values()
        shown[method] = {k: v for k, v in metrics.items() if k.startswith("exposure/") and "users" in k}
    assert len(shown["original"]) == 4
    others = {method: own["exposure/other_users_at_20"] for method, own in shown.items()}
    assert others["original"] > others["retrain"] + 0.05


def test_who_asked_a_planted_category_away_sees_less_of_it_from_gold_than_from_doing_nothing(
    tmp_path: Path,
) -> None:
    """A cluster of the tiny data: 9 of 120 items."""
    asks = ["regime=interaction", "stream=sensitive", "stream.keywords=[febaor]", "stream.ratio=0.03"]
    more = ["stream.batch=8", "stream.checkpoints=[1.0]", "backbone=lightgcn", "train.learning_rate=0.01"]
    shown = {}
    for method in ("original", "retrain"):
        result, _ = stream(tmp_path, f"method={method}", *asks, *more, "train.max_epochs=30")
        (metrics,) = result.metrics.values()
        shown[method] = metrics["exposure/requesting_users_at_10"]
    assert shown["original"] > shown["retrain"] + 0.2


def test_without_watched_items_no_share_of_users_is_measured(tmp_path: Path) -> None:
    result, _ = stream(tmp_path, "method=graph_only", "backbone=bpr", *USERS)
    assert not [name for name in result.metrics[4] if "_users_at_" in name and name.startswith("exposure/")]


def test_what_a_run_holds(tmp_path: Path) -> None:
    cell = planned(tmp_path, *QUICK, "method=reset", "backbone=lightgcn", "audit=standard", *MANY)
    store = Store(cell.config.tracking)
    with measured_models() as seen:
        run = store.client.get_run(run_stream(cell))
    assert len(seen.weights) == 2
    history = store.client.get_metric_history(run.info.run_id, TEST_RECALL)
    assert [point.step for point in history] == [3, 4]
    assert run.data.metrics[TEST_RECALL] == history[-1].value
    assert len(store.client.get_metric_history(run.info.run_id, "request/seconds")) == 4
    assert {
        "stream/latency_p95",
        "time/unlearn_seconds",
        "audit/membership/balanced_accuracy",
    } <= run.data.metrics.keys()
    assert run.data.tags["regime"] == "user+users"
    assert run.data.tags["stream"] == "users"
    assert run.data.tags["lethe.gold_keys"].split() == list(cell.keys.golds)
    assert run.data.params["stream.batch"] == "10"
    assert run.info.run_name.startswith("synthetic_tiny/lightgcn/user+users/reset ")
    names = {file.path for file in store.client.list_artifacts(run.info.run_id)}
    arrays = {"audits.safetensors", "lists.safetensors", "per_user.safetensors", "request.safetensors"}
    assert names == {*arrays, "requests.json"}

"""Measuring on a sample of users: who they are, that every figure is theirs, and what lacks a capability."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.cell.pipeline import break_even_lists, intervals
from bench.measure.targets import measured_users, pairs_of
from bench.measure.yardstick import Measurement
from bench.planning.request import draw
from datasets.interactions import InteractionData
from datasets.request_options import RequestOptions
from models.base import Recommender, Scorer
from models.bpr import BPR, BPROptions
from models.capabilities import Capability
from tests.bench.measure.slow import SlowMeasurement
from tests.tiny import tiny_data

CHUNK = 500
REGIMES = ("user", "item", "interaction")


def model(data: InteractionData, seed: int) -> Recommender:
    torch.manual_seed(seed)
    return BPR(data, BPROptions())


def test_everybody_is_measured_unless_fewer_are_asked_for() -> None:
    data = tiny_data()
    request = draw(RequestOptions(name="user", ratio=0.2), data)
    assert measured_users(data, request, None, 0) is None
    assert measured_users(data, request, data.num_users, 0) is None


@pytest.mark.parametrize("count", [4, 10, 13, 39])
def test_the_sample_has_its_share_of_forgotten_touched_and_other_users(count: int) -> None:
    data = tiny_data()
    request = draw(RequestOptions(name="user", count=8), data)
    pairs = data.train[:, (data.train[0] >= 30) & (data.train[1] % 3 == 0)]
    request = replace(request, forget=torch.cat([request.forget, pairs], dim=1))
    forgotten = set(request.users.tolist())
    touched = set(request.forget[0].tolist()) - forgotten
    found = measured_users(data, request, count, 0)
    assert found is not None
    chosen = found.tolist()
    assert chosen == sorted(set(chosen))
    assert len(chosen) == count
    for group in (forgotten, touched, set(range(40)) - touched - forgotten):
        assert abs(len(group & set(chosen)) - count * len(group) / 40) < 1.5
        assert group & set(chosen)


def test_the_sample_is_the_same_for_every_method_and_another_for_another_seed() -> None:
    data = tiny_data()
    request = draw(RequestOptions(name="interaction", ratio=0.2), data)
    drawn = [measured_users(data, request, 10, seed) for seed in (0, 0, 1)]
    assert all(users is not None for users in drawn)
    assert drawn[0].tolist() == drawn[1].tolist() != drawn[2].tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize("regime", REGIMES)
def test_figures_of_a_sample_are_those_of_data_with_nobody_else(regime: str) -> None:
    data = tiny_data()
    request = draw(RequestOptions(name=regime, ratio=0.3), data)  # type: ignore[arg-type]
    users = measured_users(data, request, 12, 0)
    retain, models = request.apply(data), [model(data, seed) for seed in (0, 1)]
    measured = Measurement(data, retain, request, CHUNK, users=users).apply(models[0], "retain", models[1])

    def cut(whole: InteractionData) -> InteractionData:
        return replace(whole, **{s: pairs_of(getattr(whole, s), users) for s in ("train", "valid", "test")})

    own = replace(request, forget=pairs_of(request.forget, users))
    metrics, _ = SlowMeasurement(cut(data), cut(retain), own, CHUNK).apply(models[0], "retain", models[1])
    split = [name for name in metrics if not name.startswith(("gold_", "exposure"))]
    assert {name: measured.metrics[name] for name in split} == {name: metrics[name] for name in split}
    assert measured.lists["users"].tolist() == users.tolist()  # type: ignore[union-attr]
    whole = Measurement(data, retain, request, CHUNK).apply(models[0], "retain", models[1])
    same = torch.isin(whole.lists["users"], users)  # type: ignore[arg-type]
    assert torch.equal(measured.lists["items"], whole.lists["items"][same])


def test_nobody_else_is_scored() -> None:
    data = tiny_data()
    request = draw(RequestOptions(name="user", ratio=0.2), data)
    users = measured_users(data, request, 6, 0)
    asked: list[int] = []

    class Watched(BPR):
        def scorer(self) -> Scorer:
            inner = super().scorer()
            return lambda chunk: (asked.extend(chunk.tolist()), inner(chunk))[1]

    torch.manual_seed(0)
    watched = Watched(data, BPROptions())
    yardstick = Measurement(data, request.apply(data), request, CHUNK, users=users)
    yardstick.apply(watched, "retain", model(data, 1))
    yardstick.trajectory_point(watched)
    assert sorted(set(asked)) == users.tolist()  # type: ignore[union-attr]


def test_what_needs_a_missing_capability_is_not_applicable_with_the_reason() -> None:
    data = tiny_data()
    request = draw(RequestOptions(name="interaction", ratio=0.2), data)

    class Ranker(BPR):
        lacks = {Capability.UNMASKED: "it masks", Capability.SCALE: "it only orders"}  # noqa: RUF012

    torch.manual_seed(0)
    ranker, gold = Ranker(data, BPROptions()), model(data, 1)
    yardstick = Measurement(data, request.apply(data), request, CHUNK)
    found, whole = yardstick.apply(ranker, "retain", gold), yardstick.apply(gold, "retain", gold)
    lost = whole.metrics.keys() - found.metrics.keys()
    assert not found.metrics.keys() - whole.metrics.keys()
    assert {name.rpartition("/")[0] for name in lost if "js_" not in name} == {"retain", "forget_unmasked"}
    assert {name for name in lost if "js_" in name} == {
        "gold_distance_same_seed/js_divergence",
        "gold_distance_same_seed_touched_users/js_divergence",
    }
    assert found.not_applicable["retain"] == found.not_applicable["forget_unmasked"] == "it masks"
    assert found.not_applicable["gold_distance_same_seed/js_divergence"] == "it only orders"
    assert whole.not_applicable == {}


def test_intervals_hold_the_mean_and_come_from_users() -> None:
    values = torch.rand(200, generator=torch.Generator().manual_seed(0))
    found = intervals({"test/recall_at_20": values, "test/users": torch.arange(200)}, 0)
    assert found.keys() == {"test/recall_at_20_low", "test/recall_at_20_high"}
    half = (found["test/recall_at_20_high"] - found["test/recall_at_20_low"]) / 2
    assert half == pytest.approx(1.96 * float(values.std()) / 200**0.5, rel=0.15)
    assert found["test/recall_at_20_low"] < float(values.mean()) < found["test/recall_at_20_high"]


def test_break_even_counts_lists_that_take_longer_than_the_bases() -> None:
    served = {"serve/seconds_per_list": 2.0, "serve/base_seconds_per_list": 0.5}
    assert break_even_lists(300.0, served) == {"cost/break_even_lists": 200.0}
    assert break_even_lists(-1.0, served) == {"cost/break_even_lists": 0.0}
    assert break_even_lists(300.0, {"serve/seconds_per_list": 0.5, "serve/base_seconds_per_list": 0.5}) == {}

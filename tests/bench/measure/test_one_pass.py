"""One pass gives the figures and lists of ranking anew for each of them, to the last digit.

The divergence is exempt from the last digit: float32 logarithms of one tensor differ by a bit with its
size, so that it depends on how users are cut into blocks, whoever cuts them.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bench.config.registry import load_class
from bench.config.source import options_of
from bench.measure import one_pass
from bench.measure.lists import FORGOTTEN, OTHER, TOUCHED
from bench.measure.targets import Candidates
from bench.measure.yardstick import Measurement, listed_users
from bench.planning.request import draw
from datasets.interactions import InteractionData
from datasets.request_options import RequestOptions
from models.base import Recommender, Scorer
from tests.bench.measure.slow import SlowMeasurement
from tests.tiny import tiny_data

CHUNK = 3000
REGIMES = ("user", "item", "interaction")


class Table(torch.nn.Module):
    """Scores from a table [num_users, num_items]."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = scores

    def scorer(self) -> Scorer:
        return lambda users: self.scores[users].clone()


def wide_data(num_users: int = 90, num_items: int = 130, seed: int = 0) -> InteractionData:
    """More items than any list is long, users with none to sixty training pairs, some of them tied."""
    generator = torch.Generator().manual_seed(seed)
    kind = torch.rand(num_users, num_items, generator=generator)
    share = torch.linspace(0.0, 0.5, num_users)[:, None]
    split = {
        "train": kind < share,
        "valid": (kind >= share) & (kind < share + 0.05),
        "test": (kind >= share + 0.05) & (kind < share + 0.12),
    }
    pairs = {name: mask.nonzero().t().contiguous() for name, mask in split.items()}
    base = tiny_data()
    return replace(base, num_users=num_users, num_items=num_items, features={}, fingerprint="wide", **pairs)


def tables(data: InteractionData, levels: int | None) -> tuple[Recommender, Recommender]:
    """Two models; with ``levels`` their scores take so few values that every list is full of ties."""
    generator = torch.Generator().manual_seed(3)
    found = []
    for _ in range(2):
        scores = torch.randn(data.num_users, data.num_items, generator=generator)
        found.append(Table(scores if levels is None else (scores * levels).round() / levels))
    return found[0], found[1]  # type: ignore[return-value]


def same(metrics: dict[str, float], expected: dict[str, float]) -> bool:
    """Equal to the last digit, but for the divergence."""
    assert metrics.keys() == expected.keys()
    exact = {name for name in metrics if not name.endswith("js_divergence")}
    for name in metrics.keys() - exact:
        assert metrics[name] == pytest.approx(expected[name], abs=1e-7), name
    return all(metrics[name] == expected[name] for name in exact)


@pytest.mark.parametrize("candidates", ["all", "remaining"])
@pytest.mark.parametrize("graph", ["full", "retain"])
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("data", [tiny_data(), wide_data()], ids=["fewer items than a list", "many items"])
@pytest.mark.parametrize("levels", [None, 2], ids=["no ties", "ties"])
def test_one_pass_is_ranking_anew(
    data: InteractionData, levels: int | None, regime: str, graph: str, candidates: Candidates
) -> None:
    request = draw(RequestOptions(name=regime, ratio=0.2), data)  # type: ignore[arg-type]
    given = data, request.apply(data), request, CHUNK, candidates
    model, gold = tables(data, levels)
    measured = Measurement(*given).apply(model, graph, gold)
    metrics, lists = SlowMeasurement(*given).apply(model, graph, gold)
    counts = {name for name in measured.metrics if name.startswith(("test_withdrawn/", "test_cold/"))}
    assert same({name: value for name, value in measured.metrics.items() if name not in counts}, metrics)
    assert torch.equal(measured.lists["items"], lists)


@pytest.mark.parametrize("backbone", ["mgcn", "bpr"])
def test_it_is_for_trained_models_as_well(backbone: str) -> None:
    data = tiny_data()
    request = draw(RequestOptions(name="item", ratio=0.2), data)
    kind, models = load_class("backbone", backbone), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        models.append(kind(data, options_of("backbone", backbone)()))
    given = data, request.apply(data), request, CHUNK
    measured = Measurement(*given).apply(models[0], "full", models[1])
    metrics, lists = SlowMeasurement(*given).apply(models[0], "full", models[1])
    assert same({name: measured.metrics[name] for name in metrics}, metrics)
    assert torch.equal(measured.lists["items"], lists)


@pytest.mark.parametrize("regime", REGIMES)
def test_blocks_change_nothing(regime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = wide_data()
    request = draw(RequestOptions(name=regime, ratio=0.2), data)  # type: ignore[arg-type]
    model, gold = tables(data, None)
    found = []
    for scores in (1, 2000, 10**7):
        monkeypatch.setattr(one_pass, "CPU_BLOCK", scores)
        yardstick = Measurement(data, request.apply(data), request, 10**9)
        found.append(yardstick.apply(model, "full", gold).metrics)
    assert same(found[0], found[1])
    assert same(found[1], found[2])


def test_each_user_is_scored_once_by_each_model() -> None:
    data = wide_data()
    request = draw(RequestOptions(name="item", ratio=0.2), data)
    model, gold = tables(data, None)
    asked: list[Tensor] = []

    def watched(scorer: Scorer) -> Scorer:
        return lambda users: (asked.append(users), scorer(users))[1]

    scorers = model.scorer(), gold.scorer()
    model.scorer, gold.scorer = (lambda: watched(scorers[0])), (lambda: watched(scorers[1]))  # type: ignore[method-assign]
    Measurement(data, request.apply(data), request, CHUNK).apply(model, "full", gold)
    assert torch.cat(asked).sort().values.tolist() == sorted([*range(data.num_users)] * 2)


def test_stored_lists_say_whose_they_are() -> None:
    data = wide_data()
    model, gold = tables(data, None)
    for regime, groups in (
        ("user", (OTHER, FORGOTTEN)),
        ("item", (OTHER, TOUCHED)),
        ("interaction", (OTHER, TOUCHED)),
    ):
        request = draw(RequestOptions(name=regime, ratio=0.1), data)  # type: ignore[arg-type]
        stored = (
            Measurement(data, request.apply(data), request, CHUNK, lists=50).apply(model, "full", gold).lists
        )
        assert stored["users"].tolist() == listed_users(data, 50).tolist()
        assert stored["items"].shape == (50, 20)
        assert [stored[name].dtype for name in ("users", "items", "group")] == [
            torch.int64,
            torch.int32,
            torch.int8,
        ]
        forgotten, touched = set(request.users.tolist()), set(request.forget[0].tolist())
        for user, group in zip(stored["users"].tolist(), stored["group"].tolist(), strict=True):
            assert group == (FORGOTTEN if user in forgotten else TOUCHED if user in touched else OTHER)
        assert set(stored["group"].tolist()) == set(groups)


def test_the_sample_of_users_follows_from_the_data_alone() -> None:
    data = wide_data()
    few = listed_users(data, 30)
    assert len(few.unique()) == 30
    assert few.tolist() == sorted(few.tolist())
    assert torch.equal(few, listed_users(wide_data(seed=1), 30)), "the key says which data they are"
    assert not torch.equal(few, listed_users(replace(data, fingerprint="other"), 30))
    assert listed_users(data, data.num_users).tolist() == list(range(data.num_users))
    for regime in REGIMES:
        for seed in (0, 1):
            request = draw(RequestOptions(name=regime, ratio=0.1, seed=seed), data)  # type: ignore[arg-type]
            yardstick = Measurement(data, request.apply(data), request, CHUNK, lists=30)
            assert torch.equal(yardstick._listed, few)

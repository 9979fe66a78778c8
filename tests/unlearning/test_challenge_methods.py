"""Kookmin, Fanchuan and SEIF: their parts by hand, what moves, what it costs, identities."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from datasets.sampling import Batch
from tests.unlearning.cells import (
    Tape,
    private_copy,
    problem,
    run,
    same,
    trained,
    weights,
)
from tests.unlearning.second_order.test_step import empty_request
from unlearning.fanchuan import alike, from_uniform
from unlearning.kookmin import fresh, least
from unlearning.passes import whole_pass
from unlearning.repair_budget import repair_sampler, repair_size
from unlearning.seif import shake, tables_and_head, weighted

METHODS = ("kookmin", "fanchuan", "seif")
NO_STEPS: dict[str, dict[str, Any]] = {
    "kookmin": {"init_rate": 0.0, "repair_examples": 0},
    "fanchuan": {"flatten_epochs": 0, "rounds": 0},
    "seif": {"noise": 0.0, "repair_examples": 0},
}


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_request_changes_nothing(method: str) -> None:
    result, tape, _ = run(method, task=empty_request())
    assert same(weights(result.model), weights(trained("lightgcn")))
    assert tape.count == 0


@pytest.mark.parametrize("method", METHODS)
def test_without_noise_and_steps_it_is_graph_only(method: str) -> None:
    result, _, _ = run(method, **NO_STEPS[method])
    assert same(weights(result.model), weights(run("graph_only")[0].model))


def test_the_rule_of_the_repair_budget() -> None:
    task = problem("interaction")  # 27 of 240 pairs
    assert repair_size("erase", task) == 24  # a tenth of D is less than 8 |F|
    assert repair_size(7, task) == 7
    assert repair_size(10**6, task) == task.retain.train.shape[1]
    sampler = repair_sampler(task, 10)
    passes = [next(sampler.epoch(99)) for _ in range(2)]
    first, second = ((batch.users * 24 + batch.positives).sort().values for batch in passes)
    assert torch.equal(first, second)  # the same pairs in every pass
    assert len(first.unique()) == 10
    gone = task.request.forget[0] * 24 + task.request.forget[1]
    everything = next(repair_sampler(task, repair_size(10**6, task)).epoch(999))
    assert not torch.isin(everything.users * 24 + everything.positives, gone).any()


def test_the_least_entries_are_redrawn_and_ties_fall_by_chance() -> None:
    s = torch.tensor([[3.0, -1.0], [0.5, 0.0], [-9.0, 2.0]])
    everyone = torch.ones(3, 2, dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    assert least(s, everyone, 0.5, generator).tolist() == [[False, True], [True, True], [False, False]]
    among = torch.tensor([[True, True], [False, False], [True, True]])
    assert least(s, among, 0.5, generator).tolist() == [[False, True], [False, False], [False, True]]
    s, everyone = torch.zeros(100, 2), torch.ones(100, 2, dtype=torch.bool)
    tied = [least(s, everyone, 0.1, generator) for _ in range(2)]
    assert [int(mask.sum()) for mask in tied] == [20, 20]
    assert not torch.equal(*tied)


def test_fresh_entries_are_those_of_the_initialisations() -> None:
    generator = torch.Generator().manual_seed(0)
    table = fresh(torch.zeros(500, 16), generator)
    assert float(table.abs().max()) <= 0.25
    assert float(table.std()) == pytest.approx(0.25 / math.sqrt(3), rel=0.05)
    assert float(fresh(torch.zeros(5000), generator).std()) == pytest.approx(0.02, rel=0.1)


def test_kookmin_redraws_a_share_of_the_rows_that_f_reaches() -> None:
    options: dict[str, Any] = {"init_rate": 0.1, "repair_examples": 0}
    task = problem("user")
    before = weights(private_copy(trained("bpr"), task))
    for scope in ("touched_rows", "all"):
        result, _, _ = run("kookmin", "bpr", problem("user"), scope=scope, **options)
        moved = weights(result.model)["user_embedding"] != before["user_embedding"]
        rows = moved.any(dim=1).nonzero().squeeze(1)
        # Matrix factorisation: F's gradient reaches the users who leave and nobody else.
        assert torch.isin(rows, task.request.users).all() == (scope == "touched_rows")
        entries = 4 * 64 if scope == "touched_rows" else 40 * 64
        assert int(moved.sum()) == int(0.1 * entries)


def test_kookmin_repairs_redrawn_entries_faster() -> None:
    task = problem("user")
    frozen, _, _ = run("kookmin", "bpr", problem("user"), boost=0.0, init_rate=1.0, scope="all")
    unrepaired, _, _ = run("kookmin", "bpr", problem("user"), init_rate=1.0, scope="all", repair_examples=0)
    assert same(weights(frozen.model), weights(unrepaired.model))
    _, tape, _ = run("kookmin", "bpr", task)
    budget = repair_size("erase", task)
    assert tape.count == task.request.forget.shape[1] + min(64 * 2, 128) + budget


def test_the_losses_of_fanchuan_by_hand() -> None:
    task = problem("user")
    model = private_copy(trained("lightgcn"), task)
    batch = whole_pass(task.forget_sampler())
    users, items = (x.detach() for x in model.embeddings())
    p = (users[batch.users] @ items.t()).softmax(dim=1)
    expected = F.kl_div(torch.full_like(p, 1 / 24).log(), p, reduction="none").sum(dim=1).mean()
    assert from_uniform(model, batch).item() == pytest.approx(float(expected), rel=1e-4)
    table, keys = torch.randn(9, 4), torch.tensor([5, 6, 7])
    own = Batch(*[torch.tensor([0, 1])] * 3)
    similarities = table[:2] @ table[5:8].t() / 0.5
    assert alike(table, keys, 0.5, own).item() == pytest.approx(
        -similarities.log_softmax(dim=1).mean().item(), rel=1e-5
    )


def test_the_contrast_is_least_where_similarities_are_equal_not_low() -> None:
    batch = Batch(*[torch.tensor([0])] * 3)
    keys = torch.tensor([1, 2])

    def contrast(first: float, second: float) -> float:
        return float(alike(torch.tensor([[1.0], [first], [second]]), keys, 1.0, batch))

    assert contrast(5.0, 5.0) == pytest.approx(contrast(-5.0, -5.0))
    assert contrast(5.0, 5.0) < contrast(-5.0, -6.0)


def test_fanchuan_flattens_first_and_then_goes_round() -> None:
    for regime, steps in (("user", 1), ("interaction", 2)):
        task = problem(regime)
        _, tape, _ = run("fanchuan", task=task, rounds=3)
        count, budget = task.request.forget.shape[1], repair_size("erase", task)
        assert tape.count == count + 3 * (steps * count + budget)
        assert [sorted(values) for values in tape.curves] == [
            ["loss/flatten"],
            *[["loss/contrast", "loss/repair"]] * 3,
        ]


def test_noise_is_in_proportion_to_the_weights_and_spares_other_parameters() -> None:
    model = private_copy(trained("mgcn"), problem(backbone="mgcn"))
    before, shaken = weights(model), {id(p) for p in tables_and_head(model)}
    shake(tables_and_head(model), 0.6, torch.Generator().manual_seed(0))
    for name, parameter in model.named_parameters():
        if id(parameter) in shaken:
            ratio = (parameter.detach() - before[name]) / before[name].abs().clamp(min=1e-12)
            assert parameter.numel() < 500 or float(ratio.std()) == pytest.approx(0.6, rel=0.15)
        else:
            assert torch.equal(parameter.detach(), before[name])
    zero = nn.Parameter(torch.zeros(5))
    shake([zero], 0.6, torch.Generator().manual_seed(0))
    assert not zero.any()


def test_the_repair_of_seif_weighs_forgotten_items_less() -> None:
    task = problem("user")
    model = private_copy(trained("lightgcn"), task)
    batch = whole_pass(task.retain_sampler())
    items = torch.tensor([0, 1, 2, 3])
    whole = float(model.loss(batch).total.detach())
    assert weighted(model, batch, items, 1.0).item() == pytest.approx(whole, rel=1e-4)
    mask = torch.isin(batch.positives, items)
    rest = Batch(*(ids[~mask] for ids in batch))
    kept = float(model.loss(rest).total.detach()) * len(rest.users) / len(batch.users)
    assert weighted(model, batch, items, 0.0).item() == pytest.approx(kept, rel=1e-4)
    assert weighted(model, batch, items, 0.05).item() == pytest.approx(0.95 * kept + 0.05 * whole, rel=1e-4)


def test_seif_repairs_in_as_many_epochs_as_it_says() -> None:
    task, tape = problem("user"), Tape()
    _, tape, _ = run("seif", task=task, epochs=3)
    assert tape.count == 3 * repair_size("erase", task)
    assert len(tape.curves) == 4

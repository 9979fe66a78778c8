"""The shared phases: which way a reverse step pushes, and that nothing outside its groups moves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from datasets.sampling import Batch
from models.base import Recommender
from tests.unlearning.cells import Tape, changed, private_copy, problem, run, same, trained, weights
from tests.unlearning.content_only import ContentOnly
from unlearning.base import trainable
from unlearning.options import ReverseRepairOptions
from unlearning.reverse_repair import (
    Group,
    ReversePhase,
    base_objective,
    reduced,
    reverse_rate,
    score_response,
)

BATCH = Batch(torch.tensor([0, 1, 2]), torch.tensor([0, 1, 2]), torch.tensor([5, 6, 7]))


def margins(model: Recommender) -> Tensor:
    users, items = model.embeddings()
    return (users[BATCH.users] * (items[BATCH.positives] - items[BATCH.negatives])).sum(dim=1)


@pytest.mark.parametrize("form", ["swap", "ascent"])
@pytest.mark.parametrize("terms", ["ranking", "full"])
@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn"])
def test_descending_the_objective_lowers_the_forgotten_pair(form: str, terms: str, backbone: str) -> None:
    model = private_copy(trained(backbone), problem())
    options = ReverseRepairOptions(form=form, reverse_terms=terms)
    before = margins(model).mean()
    gradients = torch.autograd.grad(
        base_objective(model, options, BATCH), list(model.parameters()), allow_unused=True
    )
    with torch.no_grad():
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            if gradient is not None:
                parameter -= 0.01 * gradient
    assert margins(model).mean() < before


def test_swap_is_the_bpr_of_the_exchanged_triple() -> None:
    model = private_copy(trained("lightgcn"), problem())
    exchanged = Batch(BATCH.users, BATCH.negatives, BATCH.positives)
    swapped = base_objective(model, ReverseRepairOptions(), BATCH)
    assert torch.allclose(swapped, model.loss(exchanged).ranking)
    full = base_objective(model, ReverseRepairOptions(reverse_terms="full"), BATCH)
    assert torch.allclose(full, model.loss(exchanged).total)


def test_margin_shifts_the_point_where_the_push_halves() -> None:
    model = private_copy(trained("lightgcn"), problem())
    loss = base_objective(model, ReverseRepairOptions(margin=1.5), BATCH)
    assert torch.allclose(loss, torch.nn.functional.softplus(margins(model) + 1.5).mean())


@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn", "bm3"])
def test_a_step_of_one_over_the_response_lowers_the_scores_by_one(backbone: str) -> None:
    model = private_copy(trained(backbone), problem())
    response, before, small = score_response(model, trainable(model), BATCH), margins(model).mean(), 1e-2
    gradients = torch.autograd.grad(margins(model).sum(), trainable(model), allow_unused=True)
    with torch.no_grad():
        for parameter, gradient in zip(trainable(model), gradients, strict=True):
            if gradient is not None:
                parameter -= small / response * gradient
    assert float(before - margins(model).mean()) == pytest.approx(small, rel=0.05)


def test_the_unit_of_the_reverse_rate() -> None:
    task, model = problem(), private_copy(trained("lightgcn"), problem())
    state = task.generator.get_state()
    raw = ReverseRepairOptions(reverse_lr=3.0, reverse_unit="raw")
    assert reverse_rate(model, trainable(model), raw, "sgd", task) == 3.0
    one, two = (
        reverse_rate(model, trainable(model), ReverseRepairOptions(reverse_lr=lr), "sgd", task)
        for lr in (1.0, 2.0)
    )
    assert two == 2 * one
    assert reverse_rate(model, trainable(model), ReverseRepairOptions(reverse_lr=3.0), "adam_lr", task) == 3.0
    assert (
        reverse_rate(model, trainable(model), ReverseRepairOptions(reverse_lr=None), "sgd", task)
        == task.learning_rate
    )
    assert torch.equal(task.generator.get_state(), state), "measuring must not move the sampling stream"


def test_swap_fades_where_ascent_keeps_pushing() -> None:
    x = torch.tensor(-8.0, requires_grad=True)  # a pair that is forgotten already
    swap = torch.autograd.grad(torch.nn.functional.softplus(x), x)[0]
    ascent = torch.autograd.grad(torch.nn.functional.logsigmoid(x), x)[0]
    assert swap < 1e-3 < 0.99 < ascent


def test_ascent_reverses_the_regulariser_only_when_asked() -> None:
    model = private_copy(trained("lightgcn"), problem())
    terms = model.loss(BATCH)
    ranking = base_objective(model, ReverseRepairOptions(form="ascent"), BATCH)
    full = base_objective(model, ReverseRepairOptions(form="ascent", reverse_terms="full"), BATCH)
    assert torch.equal(ranking, -terms.ranking)
    assert torch.equal(full, -terms.total)


def test_the_summed_loss_pushes_a_pair_alike_in_any_batch() -> None:
    options = ReverseRepairOptions(reduction="sum")
    assert reduced(torch.tensor(0.5), options, BATCH) == 1.5
    assert reduced(torch.tensor(0.5), ReverseRepairOptions(reduction="mean"), BATCH) == 0.5


@pytest.mark.parametrize("optimiser", ["sgd", "adam_lr", "adam_grad"])
def test_only_the_groups_move(optimiser: str) -> None:
    model = private_copy(trained("mgcn"), problem())
    model.projections["image"].weight.grad = torch.ones_like(model.projections["image"].weight)
    before = weights(model)
    phase = ReversePhase([Group([model.user_embedding])], optimiser, 0.1, alpha=0.5)
    phase.run(lambda batch: base_objective(model, ReverseRepairOptions(), batch), [BATCH, BATCH], Tape())
    assert list(changed(before, weights(model))) == ["user_embedding"]


def step_size(optimiser: str, scale: float, alpha: float = 0.5) -> float:
    model = private_copy(trained("lightgcn"), problem())
    before = model.user_embedding.detach().clone()
    phase = ReversePhase([Group([model.user_embedding], scale)], optimiser, 0.1, alpha)
    phase.run(lambda batch: base_objective(model, ReverseRepairOptions(), batch), [BATCH], Tape())
    return float((model.user_embedding - before).norm())


@pytest.mark.parametrize(("optimiser", "ratio"), [("sgd", 0.25), ("adam_lr", 0.25), ("adam_grad", 1.0)])
def test_where_a_scale_acts(optimiser: str, ratio: float) -> None:
    assert step_size(optimiser, 0.25) / step_size(optimiser, 1.0) == pytest.approx(ratio, rel=1e-3)


def test_sgd_is_the_printed_equation() -> None:
    model = private_copy(trained("lightgcn"), problem())
    start = model.user_embedding.detach().clone()
    options = ReverseRepairOptions(form="ascent")
    gradient = torch.autograd.grad(model.loss(BATCH).ranking, model.user_embedding)[0]
    phase = ReversePhase([Group([model.user_embedding], 0.3)], "sgd", 2.0, alpha=0.2)
    phase.run(lambda batch: base_objective(model, options, batch), [BATCH], Tape())
    assert torch.allclose(model.user_embedding, start + 2.0 * 0.2 * 0.3 * gradient, atol=1e-6)


def test_a_parameter_without_gradient_is_left_alone() -> None:
    task = problem()
    model = ContentOnly(task.full)
    before = model.unused.detach().clone()
    phase = ReversePhase([Group(list(model.parameters()))], "adam_lr", 0.1, alpha=0.5)
    phase.run(lambda batch: base_objective(model, ReverseRepairOptions(), batch), [BATCH], Tape())
    assert torch.equal(model.unused, before)


@pytest.mark.parametrize("method", ["mmrecun", "tru"])
def test_alpha_zero_is_fine_tuning(method: str) -> None:
    gate = {"gate": False} if method == "tru" else {}
    reverse_free, _, _ = run(method, alpha=0.0, epochs=3, repair_batches=None, **gate)
    tuned, _, _ = run("finetune", epochs=3)
    assert same(weights(reverse_free.model), weights(tuned.model))


@pytest.mark.parametrize("method", ["mmrecun", "tru"])
def test_an_empty_forget_set_is_fine_tuning_at_the_repair_rate(method: str) -> None:
    gate = {"gate": False} if method == "tru" else {}
    task = problem()
    task.request.forget.resize_(2, 0)
    repaired, _, _ = run(method, task=task, alpha=0.2, epochs=2, repair_batches=None, **gate)
    tuned, _, _ = run("finetune", epochs=2, learning_rate=task.learning_rate * 0.8)
    assert same(weights(repaired.model), weights(tuned.model))


@pytest.mark.parametrize("method", ["mmrecun", "tru"])
def test_alpha_one_skips_repair(method: str) -> None:
    gate = {"gate": False} if method == "tru" else {}
    _, tape, _ = run(method, alpha=1.0, **gate)
    assert all("loss/reverse" in values and "loss/repair" not in values for values in tape.curves)

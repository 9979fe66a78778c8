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
    ReverseOptimiser,
    ReversePhase,
    ReverseRate,
    Term,
    base_objective,
    reading,
    reduced,
    score_responses,
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
    response, before, small = (
        sum(score_responses(model, trainable(model), BATCH)),
        margins(model).mean(),
        1e-2,
    )
    gradients = torch.autograd.grad(margins(model).sum(), trainable(model), allow_unused=True)
    with torch.no_grad():
        for parameter, gradient in zip(trainable(model), gradients, strict=True):
            if gradient is not None:
                parameter -= small / response * gradient
    assert float(before - margins(model).mean()) == pytest.approx(small, rel=0.05)


def rate(
    options: ReverseRepairOptions,
    optimiser: ReverseOptimiser = "sgd",
    scales: tuple[float, ...] = (1.0, 1.0),
    matched: bool = False,
) -> tuple[float, Tape]:
    """eta for a phase over the two tables of a backbone with these scales, and what measuring it counted."""
    task, tape = problem(), Tape()
    model = private_copy(trained("lightgcn"), task)
    state = task.generator.get_state()
    measured = ReverseRate(model, options, optimiser, task, tape, matched=matched)
    assert torch.equal(task.generator.get_state(), state), "measuring must not move the sampling stream"
    groups = [Group([p], scale) for p, scale in zip(trainable(model), scales, strict=True)]
    return measured.of(groups), tape


def test_the_unit_of_the_reverse_rate() -> None:
    one, two = (rate(ReverseRepairOptions(reverse_lr=lr))[0] for lr in (1.0, 2.0))
    assert two == 2 * one
    assert rate(ReverseRepairOptions(reverse_lr=3.0, reverse_unit="raw"))[0] == 3.0
    assert rate(ReverseRepairOptions(reverse_lr=None))[0] == problem().learning_rate
    assert rate(ReverseRepairOptions(reverse_adam_lr=0.3), "adam_lr")[0] == 0.3
    assert rate(ReverseRepairOptions(reverse_lr=3.0), "adam_lr")[0] == problem().learning_rate


def test_a_matched_rate_makes_up_for_the_scales() -> None:
    scales = (0.2, 0.6)
    task = problem()
    model = private_copy(trained("lightgcn"), task).train()
    batch = next(iter(task.forget_sampler().epoch(task.batch_size)))
    reach = score_responses(model, trainable(model), batch)
    scaled = sum(scale * own for scale, own in zip(scales, reach, strict=True))
    options = ReverseRepairOptions(reverse_lr=2.0)
    assert rate(options, scales=scales, matched=True)[0] == pytest.approx(2.0 / scaled)
    assert rate(options, scales=scales)[0] == pytest.approx(2.0 / sum(reach))
    raw = ReverseRepairOptions(reverse_lr=2.0, reverse_unit="raw")
    assert rate(raw, scales=scales, matched=True)[0] == pytest.approx(2.0 * sum(reach) / scaled)
    sizes = [p.numel() for p in trainable(model)]
    mean = sum(scale * size for scale, size in zip(scales, sizes, strict=True)) / sum(sizes)
    adam = ReverseRepairOptions(reverse_adam_lr=0.1)
    assert rate(adam, "adam_lr", scales, matched=True)[0] == pytest.approx(0.1 / mean)
    assert rate(adam, "adam_grad", scales, matched=True)[0] == 0.1, "there the scales take nothing"


def test_the_probe_of_the_rate_counts_as_cost() -> None:
    task = problem()
    one_batch = min(task.batch_size, task.request.forget.shape[1])
    assert rate(ReverseRepairOptions())[1].count == one_batch
    assert rate(ReverseRepairOptions(reverse_unit="raw"))[1].count == 0
    assert rate(ReverseRepairOptions(), "adam_lr", matched=True)[1].count == 0


def test_the_reading_is_named() -> None:
    options = ReverseRepairOptions(form="ascent", reverse_terms="full", repair_batches=3)
    assert reading(options, optimiser="adam") == (
        "form ascent, reversed full, optimiser adam, repair 3 batches"
    )
    assert reading(ReverseRepairOptions(repair_batches=None)).endswith("repair full pass")


def test_terms_add_up_and_move_only_what_is_theirs() -> None:
    first, second = (torch.nn.Parameter(torch.tensor([1.0])) for _ in range(2))
    terms = [
        Term(lambda _: (2 * first + 5 * second).sum(), [first]),
        Term(lambda _: (3 * first + 7 * second).sum(), [first, second]),
    ]
    phase = ReversePhase([Group([first]), Group([second], 0.5)], "sgd", 0.1, alpha=1.0)
    seen: list[float] = []
    means = phase.run(terms, [BATCH], Tape(), lambda: seen.append(float(first.detach())))
    assert means == [7.0, 10.0]
    assert float(first.detach()) == pytest.approx(1 - 0.1 * 5)
    assert float(second.detach()) == pytest.approx(1 - 0.05 * 7)
    assert seen == [float(first.detach())], "after the step"


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


def base(model: Recommender, options: ReverseRepairOptions, moved: list[torch.nn.Parameter]) -> Term:
    """The base forget objective on the parameters that it may move."""
    return Term(lambda batch: base_objective(model, options, batch), moved)


@pytest.mark.parametrize("optimiser", ["sgd", "adam_lr", "adam_grad"])
def test_only_the_groups_move(optimiser: str) -> None:
    model = private_copy(trained("mgcn"), problem())
    model.projections["image"].weight.grad = torch.ones_like(model.projections["image"].weight)
    before = weights(model)
    phase = ReversePhase([Group([model.user_embedding])], optimiser, 0.1, alpha=0.5)
    phase.run([base(model, ReverseRepairOptions(), [model.user_embedding])], [BATCH, BATCH], Tape())
    assert list(changed(before, weights(model))) == ["user_embedding"]


def step_size(optimiser: str, scale: float, alpha: float = 0.5) -> float:
    model = private_copy(trained("lightgcn"), problem())
    before = model.user_embedding.detach().clone()
    phase = ReversePhase([Group([model.user_embedding], scale)], optimiser, 0.1, alpha)
    phase.run([base(model, ReverseRepairOptions(), [model.user_embedding])], [BATCH], Tape())
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
    phase.run([base(model, options, [model.user_embedding])], [BATCH], Tape())
    assert torch.allclose(model.user_embedding, start + 2.0 * 0.2 * 0.3 * gradient, atol=1e-6)


def test_a_parameter_without_gradient_is_left_alone() -> None:
    task = problem()
    model = ContentOnly(task.full)
    before = model.unused.detach().clone()
    phase = ReversePhase([Group(list(model.parameters()))], "adam_lr", 0.1, alpha=0.5)
    phase.run([base(model, ReverseRepairOptions(), list(model.parameters()))], [BATCH], Tape())
    assert torch.equal(model.unused, before)


@pytest.mark.parametrize("method", ["mmrecun", "tru", "reverse_tables"])
def test_alpha_zero_is_fine_tuning(method: str) -> None:
    gate = {"gate": False} if method == "tru" else {}
    reverse_free, _, _ = run(method, alpha=0.0, epochs=3, repair_batches=None, **gate)
    tuned, _, _ = run("finetune", epochs=3)
    assert same(weights(reverse_free.model), weights(tuned.model))


@pytest.mark.parametrize("method", ["mmrecun", "tru", "reverse_tables"])
def test_an_empty_forget_set_is_fine_tuning_at_the_repair_rate(method: str) -> None:
    gate = {"gate": False} if method == "tru" else {}
    task = problem()
    task.request.forget.resize_(2, 0)
    repaired, _, _ = run(method, task=task, alpha=0.2, epochs=2, repair_batches=None, **gate)
    tuned, _, _ = run("finetune", epochs=2, learning_rate=task.learning_rate * 0.8)
    assert same(weights(repaired.model), weights(tuned.model))


@pytest.mark.parametrize("method", ["mmrecun", "tru", "reverse_tables"])
def test_alpha_one_skips_repair(method: str) -> None:
    gate = {"gate": False} if method == "tru" else {}
    _, tape, _ = run(method, alpha=1.0, **gate)
    assert all("loss/reverse" in values and "loss/repair" not in values for values in tape.curves)

"""TRU: identities with MMRecUn, the mask, the scale, the step length; the gate is in test_tru_gate.py."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datasets.errors import InputError
from datasets.requests import DeletionRequest
from datasets.sampling import Batch
from models.base import Recommender
from tests.tiny import tiny_data
from tests.unlearning.cells import (
    FORMS,
    REGIMES,
    Tape,
    changed,
    forget_recall,
    private_copy,
    problem,
    run,
    same,
    trained,
    weights,
)
from tests.unlearning.content_only import ContentOnly
from unlearning.base import Problem
from unlearning.gradients import modules_of, squared_norms, untouched
from unlearning.reverse_repair import score_responses
from unlearning.tru import (
    TRU,
    TRUOptions,
    adaptive_top,
    branch_energies,
    branch_scales,
    sensitivity,
)

OFF = {"gate": False, "scaling": False, "isolation": False}


@pytest.mark.parametrize("form", ["swap", "ascent"])
@pytest.mark.parametrize(("tru", "mmrecun"), [("sgd", "sgd"), ("adam_lr", "adam")])
def test_with_everything_off_it_is_mmrecun(form: str, tru: str, mmrecun: str) -> None:
    rates = {"reverse_lr": 2.0, "reverse_adam_lr": 0.02}
    first, _, _ = run("tru", "mgcn", form=form, optimiser=tru, **rates, **OFF)
    second, _, _ = run("mmrecun", "mgcn", form=form, optimiser=mmrecun, **rates)
    assert same(weights(first.model), weights(second.model))


def test_with_neutral_knobs_it_is_mmrecun() -> None:
    neutral = {"lambda_fusion": 0.0, "gamma_min": 1.0, "top_ratio": 1.0}
    first, _, _ = run("tru", "mgcn", reverse_lr=2.0, **neutral)
    second, _, _ = run("mmrecun", "mgcn", reverse_lr=2.0)
    assert same(weights(first.model), weights(second.model))


@pytest.mark.parametrize("knob", [{"lambda_fusion": 1e-2}, {"gamma_min": 0.1}, {"top_ratio": 0.3}])
def test_each_intervention_alone_makes_a_difference(knob: dict[str, Any]) -> None:
    neutral = {"lambda_fusion": 0.0, "gamma_min": 1.0, "top_ratio": 1.0, "reverse_lr": 2.0}
    first, _, _ = run("tru", "mgcn", **(neutral | knob))
    second, _, _ = run("mmrecun", "mgcn", reverse_lr=2.0)
    assert not same(weights(first.model), weights(second.model))


@pytest.mark.parametrize("optimiser", ["sgd", "adam_lr", "adam_grad"])
def test_masked_modules_are_bit_identical_across_a_reverse_phase(optimiser: str) -> None:
    before = weights(trained("mgcn"))
    result, tape, _ = run("tru", "mgcn", alpha=1.0, epochs=1, optimiser=optimiser, top_ratio=0.3)
    selected = {
        name for name, value in tape.curves[0].items() if name.startswith("selected/") and value == 1.0
    }
    moved = {id(parameter) for parameter in moving(result.model, before)}
    for module in modules_of(result.model):
        touched = any(id(parameter) in moved for parameter in module.parameters)
        assert touched == (f"selected/{module.name}" in selected)
    assert 0 < len(selected) < len(modules_of(result.model))


def moving(model: Recommender, before: dict[str, Tensor]) -> list[nn.Parameter]:
    names = set(changed(before, weights(model)))
    return [parameter for name, parameter in model.named_parameters() if name in names]


def test_gamma_min_one_gives_gamma_one() -> None:
    _, tape, _ = run("tru", "mgcn", gamma_min=1.0, epochs=1)
    gammas = {name: value for name, value in tape.curves[0].items() if name.startswith("gamma/")}
    assert set(gammas) == {"gamma/id", "gamma/image", "gamma/text", "gamma/shared"}
    assert set(gammas.values()) == {1.0}


def test_top_ratio_one_selects_every_module() -> None:
    _, tape, _ = run("tru", "mgcn", top_ratio=1.0, epochs=1)
    selected = [value for name, value in tape.curves[0].items() if name.startswith("selected/")]
    assert len(selected) == len(modules_of(trained("mgcn")))
    assert set(selected) == {1.0}


def test_branch_scales_clip_from_both_sides_and_spare_shared() -> None:
    retain = {"id": 1.0, "image": 9.0, "text": 1.0, "shared": 1.0}
    forget = {"id": 4.0, "image": 3.0, "text": 100.0, "shared": 100.0}
    gamma = branch_scales(retain, forget, gamma_min=0.1, eps=1e-8)
    assert gamma == {"id": pytest.approx(0.25), "image": 1.0, "text": 0.1, "shared": 1.0}


def test_a_branch_without_forget_gradient_is_not_scaled() -> None:
    assert branch_scales({"id": 1.0}, {"id": 0.0}, 0.0, 1e-8) == {"id": 1.0}


E_K = {"a": 5.0, "b": 3.0, "c": 3.0, "d": 1.0}
SIZES = {"a": 1, "b": 10, "c": 10, "d": 79}


@pytest.mark.parametrize(
    ("ratio", "capacity", "chosen"),
    [
        (0.25, 0.0, "a"),
        (0.5, 0.0, "ab"),  # a tie is broken by name
        (0.01, 0.0, "a"),  # at least one
        (0.26, 0.0, "ab"),  # rounded up
        (0.25, 0.05, "ab"),  # grown until 5 % of the parameters are held
        (0.25, 0.2, "abc"),
        (0.25, 0.21, "abc"),
        (0.25, 0.22, "abcd"),
        (1.0, 0.0, "abcd"),
    ],
)
def test_adaptive_top(ratio: float, capacity: float, chosen: str) -> None:
    assert adaptive_top(E_K, SIZES, ratio, capacity) == set(chosen)


def test_adaptive_top_is_not_fooled_by_rounding() -> None:
    names = {f"k{i:02}": 1.0 for i in range(100)}
    assert 0.07 * 100 > 7  # in floats
    assert len(adaptive_top(names, dict.fromkeys(names, 1), 0.07, 0.0)) == 7


def test_statistics_are_the_means_they_claim() -> None:
    model = private_copy(trained("mgcn"), problem())
    modules = modules_of(model)
    squared = torch.tensor([[9.0, 16.0], [0.0, 4.0]], dtype=torch.float64)
    two = [module for module in modules if module.branch == "id"]
    assert branch_energies(squared, two) == {"id": (5.0 + 2.0) / 2}
    assert list(sensitivity(squared, two, 2).values()) == [4.5, 10.0]
    assert list(sensitivity(squared, two, 1).values()) == [1.5, 3.0]


def test_squared_norms_are_those_of_autograd() -> None:
    task = problem()
    model = private_copy(trained("mgcn"), task)
    batches = list(task.forget_sampler().epoch(10))
    squared = squared_norms(lambda batch: model.loss(batch).ranking, batches, modules_of(model))
    model.loss(batches[1]).ranking.backward()
    names = [module.name for module in modules_of(model)]
    expected = model.projections["image"]
    norm = expected.weight.grad.square().sum() + expected.bias.grad.square().sum()
    assert squared.shape == (len(batches), len(names))
    assert squared[1, names.index("projections.image")] == pytest.approx(float(norm), rel=1e-4)


def test_measuring_leaves_no_trace() -> None:
    task = problem()
    model = ContentOnly(task.full).train()
    before, state = {k: v.clone() for k, v in model.state_dict().items()}, task.generator.get_state()
    with untouched(model, task.generator):
        for batch in task.forget_sampler().epoch(8):
            model.loss(batch)
        assert not same(before, dict(model.state_dict()))  # batch norm moved
    assert same(before, dict(model.state_dict()))
    assert torch.equal(state, task.generator.get_state())


def test_curves_of_an_epoch() -> None:
    _, tape, task = run("tru", "mgcn", epochs=2, statistics_batches=1, repair_batches=1)
    names = {module.name for module in modules_of(trained("mgcn"))}
    for values in tape.curves:
        assert {f"sensitivity/{name}" for name in names} <= values.keys()
        assert {"loss/reverse", "loss/repair", "gate_l1", "gamma/id"} <= values.keys()
        assert values["reverse_rate"] > 0
    # Once the probe of the rate; per epoch one statistics batch of one size per side, the forget set, one
    # repair batch.
    forget = task.request.forget.shape[1]
    assert forget < task.batch_size
    assert tape.count == forget + 2 * (2 * forget + forget + task.batch_size)


def one_loss_task() -> Problem:
    """A task whose forget and retain side are the same pairs: both draw the same batches."""
    data = tiny_data()
    everything = DeletionRequest("interaction", *[torch.empty(0, dtype=torch.long)] * 2, data.train)
    return dataclasses.replace(problem(), full=data, retain=data, request=everything)


def gammas(**options: Any) -> dict[str, float]:
    """gamma by branch at the first epoch of a run on ``one_loss_task``."""
    _, tape, _ = run("tru", "mgcn", one_loss_task(), epochs=1, gamma_min=0.0, **options)
    return {name: value for name, value in tape.curves[0].items() if name.startswith("gamma/")}


def test_the_same_batches_on_both_sides_give_gamma_one() -> None:
    found = gammas()
    assert set(found) == {"gamma/id", "gamma/image", "gamma/text", "gamma/shared"}
    assert list(found.values()) == pytest.approx([1.0] * 4, abs=1e-3)


def test_two_losses_on_the_same_batches_do_not() -> None:
    assert gammas(statistics_loss="reversed")["gamma/id"] < 0.5


def test_both_sides_use_batches_of_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    task, sizes = problem(), []
    forget = task.request.forget.shape[1]

    def seen(objective: Any, batches: Any, modules: Any) -> Tensor:
        drawn = list(batches)
        sizes.append([batch.users.numel() for batch in drawn])
        return torch.ones(len(drawn), len(modules), dtype=torch.float64)

    monkeypatch.setattr("unlearning.tru.squared_norms", seen)
    run("tru", "mgcn", task, epochs=1, statistics_batches=2)
    assert sizes == [[forget], [forget, forget]]


def margins(model: Recommender, batch: Batch) -> Tensor:
    """Score of the positive minus that of the negative: [B]."""
    with torch.no_grad():
        users, items = model.embeddings()
    return (users[batch.users] * (items[batch.positives] - items[batch.negatives])).sum(dim=1)


def score_drop(**options: Any) -> float:
    """How far the first reverse step lowers the margins of forgotten pairs on average, at a small rate."""
    task = problem()
    assert task.request.forget.shape[1] <= task.batch_size, "one step"
    batch = next(iter(task.forget_sampler().epoch(task.batch_size)))
    before = margins(private_copy(trained("mgcn"), task), batch)
    small = {"epochs": 1, "alpha": 1.0, "reverse_lr": 1e-2, "gate": False, "gamma_min": 0.0}
    after, _, _ = run("tru", "mgcn", task, **small, **options)
    return float((before - margins(after.model, batch)).mean())


@pytest.mark.parametrize("part", ["scaling", "isolation"])
@pytest.mark.parametrize("ratio", [0.1, 0.5])
def test_ablations_take_steps_of_the_same_length(part: str, ratio: float) -> None:
    full, without = score_drop(top_ratio=ratio), score_drop(top_ratio=ratio, **{part: False})
    assert full == pytest.approx(1e-2, rel=0.2), "memorised pairs are pushed at nearly full push"
    assert without == pytest.approx(full, rel=0.03)


def test_as_printed_the_scale_is_a_brake() -> None:
    assert score_drop(step_length="printed") < 0.8 * score_drop(step_length="printed", scaling=False)


def test_matched_steps_of_adam_are_as_long_on_average(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlearning.tru.branch_scales", lambda *_: BRANCHES)
    sizes = {module.name: (module.branch, module.size) for module in modules_of(trained("mgcn"))}
    mean = sum(BRANCHES[b] * n for b, n in sizes.values()) / sum(n for _, n in sizes.values())
    options = {"optimiser": "adam_lr", "reverse_adam_lr": 0.01, "isolation": False, "epochs": 1}
    _, matched, _ = run("tru", "mgcn", **options)
    _, printed, _ = run("tru", "mgcn", step_length="printed", **options)
    assert printed.curves[0]["reverse_rate"] == 0.01
    assert matched.curves[0]["reverse_rate"] == pytest.approx(0.01 / mean)


BRANCHES = {"id": 0.2, "image": 0.5, "text": 1.0, "shared": 1.0}


def test_the_rate_follows_the_selection(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = iter([{"user_embedding"}, {"item_embedding"}, {"user_embedding", "item_embedding"}])
    monkeypatch.setattr("unlearning.tru.adaptive_top", lambda *_: next(chosen))
    _, tape, _ = run("tru", "mgcn", epochs=3, scaling=False, reverse_lr=2.0)
    rates = [values["reverse_rate"] for values in tape.curves]
    task = problem()
    model = private_copy(trained("mgcn"), task).train()
    batch = next(iter(task.forget_sampler().epoch(task.batch_size)))
    users, items = score_responses(model, [model.user_embedding, model.item_embedding], batch)
    assert rates == pytest.approx([2 / users, 2 / items, 2 / (users + items)])


def test_modules_chosen_by_hand_replace_adaptive_top() -> None:
    by_hand = ("fusion_attention", "item_embedding")
    _, tape, _ = run("tru", "mgcn", modules=by_hand, epochs=1)
    selected = {name for name, value in tape.curves[0].items() if name.startswith("selected/") and value}
    assert selected == {f"selected/{name}" for name in by_hand}
    assert not any(name.startswith("sensitivity/") for name in tape.curves[0])


@pytest.mark.parametrize(
    "options",
    [{"modules": ("nosuch",)}, {"modules": ("item_embedding",), "isolation": False}],
)
def test_modules_that_do_not_fit_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"method\.modules=.* choose from user_embedding, item_embedding, "):
        TRU(TRUOptions(**options)).check(trained("mgcn"))


def test_notes_say_which_reading_ran() -> None:
    default, _, _ = run("tru", "mgcn", epochs=1)
    assert default.notes["reading"] == (
        "form swap, reversed ranking, optimiser sgd, gate proximal masked, statistics backbone, "
        "step matched, repair 2 batches"
    )
    other, _, _ = run("tru", "mgcn", epochs=1, form="ascent", lambda_fusion=0.0, repair_batches=None)
    assert "form ascent" in other.notes["reading"]
    assert "gate off" in other.notes["reading"]
    assert other.notes["reading"].endswith("repair full pass")


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("form", FORMS)
def test_forgets(regime: str, form: str) -> None:
    task = problem(regime)
    result, _, _ = run("tru", "mgcn", task, **FORMS[form])
    unlinked, _, _ = run("graph_only", "mgcn", problem(regime))
    assert forget_recall(result.model, task) < forget_recall(unlinked.model, task)


def test_one_modality_and_one_table() -> None:
    task, tape = problem(), Tape()
    model = ContentOnly(task.full)
    TRU(TRUOptions()).unlearn(model, task, tape)
    assert {"gamma/id", "gamma/image"} <= tape.curves[0].keys()
    assert not any(name.endswith("unused") for name in tape.curves[0])

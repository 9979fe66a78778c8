"""TRU: identities with MMRecUn, the mask (Eq. 5, 6), the scale (Eq. 4), the gate (Eq. 3)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datasets.errors import InputError
from models.base import Recommender
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
from unlearning.gradients import modules_of, squared_norms, untouched
from unlearning.tru import (
    TRU,
    TRUOptions,
    adaptive_top,
    branch_energies,
    branch_scales,
    fusion_weights,
    l1,
    large_enough,
    sensitivity,
)

OFF = {"gate": False, "scaling": False, "isolation": False}


@pytest.mark.parametrize("form", ["swap", "ascent"])
@pytest.mark.parametrize(("tru", "mmrecun"), [("sgd", "sgd"), ("adam_lr", "adam")])
def test_with_everything_off_it_is_mmrecun(form: str, tru: str, mmrecun: str) -> None:
    first, _, _ = run("tru", "mgcn", form=form, optimiser=tru, reverse_lr=2.0, **OFF)
    second, _, _ = run("mmrecun", "mgcn", form=form, optimiser=mmrecun, reverse_lr=2.0)
    assert same(weights(first.model), weights(second.model))


def test_with_neutral_knobs_it_is_mmrecun() -> None:
    first, _, _ = run("tru", "mgcn", reverse_lr=2.0, lambda_fusion=0.0, gamma_min=1.0, top_ratio=1.0)
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


def fusion_norm(model: Recommender) -> float:
    return float(l1(model.fusion_parameters()))


def test_the_gate_shrinks_fusion_weights_and_grows_them_as_printed() -> None:
    everything = {"scaling": False, "isolation": False, "alpha": 1.0, "epochs": 1, "lambda_fusion": 1e-2}
    norms = {
        name: fusion_norm(run("tru", "mgcn", **(everything | knob))[0].model)
        for name, knob in {
            "off": {"gate": False},
            "shrink": {},
            "literal": {"gate_sign": "literal"},
        }.items()
    }
    assert norms["shrink"] < norms["off"] < norms["literal"]


def test_the_gate_reaches_only_selected_modules() -> None:
    only_ids = {"top_ratio": 0.01, "min_capacity": 0.0, "alpha": 1.0, "epochs": 1, "lambda_fusion": 1.0}
    result, tape, _ = run("tru", "mgcn", **only_ids)
    names = [name for name, value in tape.curves[0].items() if name.startswith("selected/") and value]
    assert len(names) == 1
    moved = {name.rsplit(".", 1)[0] for name in changed(weights(trained("mgcn")), weights(result.model))}
    assert moved <= {names[0].removeprefix("selected/")}
    assert result.notes == {"gated_parameters": 0}
    everywhere, _, _ = run("tru", "mgcn", top_ratio=1.0, epochs=1)
    assert everywhere.notes["gated_parameters"] == sum(w.numel() for w in result.model.fusion_parameters())


def test_the_fusion_weights_in_reach_are_those_of_the_selected_modules() -> None:
    model = trained("mgcn")
    by_name = {module.name: module for module in modules_of(model)}
    chosen = [by_name["user_embedding"], by_name["purifiers.image"]]
    assert [id(w) for w in fusion_weights(model, chosen)] == [id(model.purifiers["image"].weight)]
    assert len(fusion_weights(model, list(by_name.values()))) == len(model.fusion_parameters())


def test_the_gate_needs_fusion_parameters() -> None:
    with pytest.raises(InputError, match=r"method\.gate=true .*LightGCN.* set method\.gate=false\."):
        TRU(TRUOptions()).check(trained("lightgcn"))
    TRU(TRUOptions(gate=False)).check(trained("lightgcn"))
    TRU(TRUOptions()).check(trained("mgcn"))


def test_curves_of_an_epoch() -> None:
    _, tape, task = run("tru", "mgcn", epochs=2, statistics_batches=1, repair_batches=1)
    names = {module.name for module in modules_of(trained("mgcn"))}
    for values in tape.curves:
        assert {f"sensitivity/{name}" for name in names} <= values.keys()
        assert {"loss/reverse", "loss/repair", "gate_l1", "gamma/id"} <= values.keys()
    # Per epoch: one statistics batch per side, the forget set, one repair batch.
    forget = task.request.forget.shape[1]
    assert tape.count == 2 * (forget + task.batch_size + forget + task.batch_size)


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


def test_with_capacity_each_small_modules_are_never_selected() -> None:
    sizes = {"table": 90, "perceptron": 8, "gate": 2}
    e = {"table": 0.1, "perceptron": 5.0, "gate": 9.0}
    assert large_enough(e, sizes, 0.05) == {"table": 0.1, "perceptron": 5.0}
    assert large_enough(e, sizes, 0.5) == {"table": 0.1}
    assert large_enough(e, sizes, 1.0) == {"table": 0.1}, "the largest is always left"


def test_capacity_each_leaves_small_modules_alone() -> None:
    modules = modules_of(trained("mgcn"))
    total = sum(module.size for module in modules)
    large = {module.name for module in modules if module.size >= 0.1 * total}
    assert 0 < len(large) < len(modules)
    options = {"capacity": "each", "min_capacity": 0.1, "top_ratio": 1.0, "epochs": 1}
    _, tape, _ = run("tru", "mgcn", **options)
    selected = {module.name for module in modules if tape.curves[0][f"selected/{module.name}"]}
    assert selected == large

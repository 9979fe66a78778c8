"""The gate of TRU (Eq. 3 and 7) in its three readings: on a quadratic, on scores, on a backbone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from datasets.errors import InputError
from datasets.sampling import Batch
from models.base import Recommender
from tests.unlearning.cells import Tape, changed, private_copy, problem, run, same, trained, weights
from tests.unlearning.quadratic import CENTRE, START, Quadratic
from unlearning.gradients import modules_of
from unlearning.tru import TRU, TRUOptions, fusion_weights, gate_penalty, l1

W, C = torch.tensor(START), torch.tensor(CENTRE)
RATE, ALPHA = 0.5, 0.4

ON_QUADRATIC: dict[str, Any] = {
    "form": "ascent",
    "reverse_unit": "raw",
    "reverse_lr": RATE,
    "reduction": "mean",
    "scaling": False,
    "isolation": False,
    "epochs": 1,
    "repair_batches": 1,
}


def stepped(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Tensor:
    """The weight after the one reverse step of a run, before any repair."""
    task = problem()
    model, seen = Quadratic(task.full), []
    monkeypatch.setattr("unlearning.reverse_repair.Repair.epoch", lambda *_: seen.append(1) or 0.0)
    TRU(TRUOptions(**{**ON_QUADRATIC, "alpha": ALPHA, **options})).unlearn(model, task, Tape())
    assert seen == [1]
    return model.weight.detach()


@pytest.mark.parametrize("lambda_fusion", [0.1, 1.0, 1e3])
def test_the_proximal_gate_is_the_soft_threshold_after_the_step(
    lambda_fusion: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = stepped(monkeypatch, lambda_fusion=lambda_fusion)
    step = W - RATE * ALPHA * (W - C)
    expected = step.sign() * (step.abs() - RATE * ALPHA * lambda_fusion).clamp(min=0)
    assert torch.allclose(after, expected, atol=1e-6)


def test_the_literal_gate_is_equation_7_as_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    after = stepped(monkeypatch, lambda_fusion=0.7, gate_form="literal")
    assert torch.allclose(after, W - RATE * ALPHA * ((W - C) - 0.7 * W.sign()), atol=1e-6)


def test_on_a_quadratic_the_proximal_gate_shrinks_and_the_literal_one_grows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    norms = {
        name: float(stepped(monkeypatch, lambda_fusion=0.5, **knob).abs().sum())
        for name, knob in {
            "off": {"gate": False},
            "proximal": {},
            "literal": {"gate_form": "literal"},
        }.items()
    }
    assert norms["proximal"] < norms["off"] < norms["literal"]


def test_the_proximal_gate_never_overshoots(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch.equal(stepped(monkeypatch, lambda_fusion=1e6), torch.zeros(3))
    grown = stepped(monkeypatch, lambda_fusion=1e6, gate_form="literal")
    assert float(grown.abs().min()) > 1e4


def test_the_threshold_carries_the_scale_of_the_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlearning.tru.branch_scales", lambda *_: {"id": 1.0, "shared": 0.25})
    options = {"scaling": True, "step_length": "printed", "lambda_fusion": 0.5}
    after = stepped(monkeypatch, **options)
    step = W - 0.25 * RATE * ALPHA * (W - C)
    threshold = 0.25 * RATE * ALPHA * 0.5
    assert torch.allclose(after, step.sign() * (step.abs() - threshold).clamp(min=0), atol=1e-6)


BATCH = Batch(torch.tensor([0, 1, 2]), torch.tensor([0, 1, 2]), torch.tensor([5, 6, 7]))


def forgotten_scores(model: Recommender, pairs: Tensor) -> Tensor:
    with torch.no_grad():
        return model.scores(pairs[0]).gather(1, pairs[1][:, None]).squeeze(1)


@pytest.mark.parametrize(("reduction", "times"), [("sum", 3), ("mean", 1)])
def test_the_score_gate_is_the_mean_absolute_score_of_the_forgotten_pairs(reduction: Any, times: int) -> None:
    model = private_copy(trained("mgcn"), problem())
    penalty = gate_penalty(model, TRUOptions(gate_form="score", lambda_fusion=0.2, reduction=reduction), [])
    assert penalty is not None
    scores = forgotten_scores(model, torch.stack([BATCH.users, BATCH.positives]))
    assert float(penalty(BATCH).detach()) == pytest.approx(0.2 * times * float(scores.abs().mean()), rel=1e-5)


def test_the_score_gate_lowers_the_scores_of_forgotten_pairs() -> None:
    options = {"alpha": 1.0, "epochs": 1, "reverse_lr": 0.05, "lambda_fusion": 5.0}
    gated, _, task = run("tru", "mgcn", gate_form="score", **options)
    plain, _, _ = run("tru", "mgcn", gate=False, **options)
    levels = [
        float(forgotten_scores(r.model.eval(), task.request.forget).abs().mean()) for r in (gated, plain)
    ]
    assert levels[0] < levels[1]


def test_each_reading_is_another_method() -> None:
    options = {"alpha": 1.0, "epochs": 1, "lambda_fusion": 0.1, "top_ratio": 0.5}
    readings: list[dict[str, Any]] = [
        {"gate": False},
        {},
        {"gate_masked": False},
        {"gate_form": "literal"},
        {"gate_form": "literal", "gate_masked": False},
        {"gate_form": "score"},
        {"gate_form": "score", "gate_masked": False},
    ]
    found = [weights(run("tru", "mgcn", **options, **reading)[0].model) for reading in readings]
    for place, one in enumerate(found):
        assert not any(same(one, other) for other in found[place + 1 :])


@pytest.mark.parametrize("form", ["proximal", "literal"])
@pytest.mark.parametrize("masked", [True, False])
def test_the_mask_of_the_gate(form: str, masked: bool) -> None:
    only_users = {"modules": ("user_embedding",), "alpha": 1.0, "epochs": 1, "lambda_fusion": 1.0}
    result, _, _ = run("tru", "mgcn", gate_form=form, gate_masked=masked, **only_users)
    fusion = {id(weight) for weight in result.model.fusion_parameters()}
    named = dict(result.model.named_parameters())
    moved = set(changed(weights(private_copy(trained("mgcn"), problem())), weights(result.model)))
    expected = set() if masked else {name for name, p in named.items() if id(p) in fusion}
    assert moved == {"user_embedding"} | expected
    reached = 0 if masked else sum(named[name].numel() for name in expected)
    assert result.notes["gated_parameters"] == reached


def test_the_unmasked_score_gate_moves_what_the_mask_leaves_alone() -> None:
    options = {"modules": ("user_embedding",), "alpha": 1.0, "epochs": 1, "gate_form": "score"}
    before = weights(private_copy(trained("mgcn"), problem()))
    masked, unmasked = (
        set(changed(before, weights(run("tru", "mgcn", gate_masked=flag, **options)[0].model)))
        for flag in (True, False)
    )
    assert masked == {"user_embedding"}
    assert {"user_embedding", "item_embedding", "preference_gates.image.weight"} < unmasked


def test_at_the_second_value_of_the_papers_grid_the_gate_is_not_idle() -> None:
    options = {"top_ratio": 0.2, "lambda_fusion": 1.0}
    gated, tape, task = run("tru", "mgcn", **options)
    model = gated.model
    chosen = [m for m in modules_of(model) if tape.curves[0][f"selected/{m.name}"]]
    assert len(chosen) == 3
    assert fusion_weights(model, chosen)
    assert gated.notes["gated_parameters"] > 0
    plain, _, _ = run("tru", "mgcn", gate=False, **options)
    scores = [forgotten_scores(r.model.eval(), task.request.forget) for r in (gated, plain)]
    assert float((scores[0] - scores[1]).abs().max()) > 1e-2
    norms = [float(l1(r.model.fusion_parameters()).detach()) for r in (gated, plain)]
    assert norms[0] < norms[1]


def test_the_fusion_weights_in_reach_are_those_of_the_selected_modules() -> None:
    model = trained("mgcn")
    by_name = {module.name: module for module in modules_of(model)}
    chosen = [by_name["user_embedding"], by_name["purifiers.image"]]
    ((weight, branch),) = fusion_weights(model, chosen)
    assert weight is model.purifiers["image"].weight
    assert branch == "image"
    assert len(fusion_weights(model, list(by_name.values()))) == len(model.fusion_parameters())


def test_the_gate_needs_fusion_parameters_where_it_acts_on_them() -> None:
    for form in ("proximal", "literal"):
        with pytest.raises(InputError, match=r"method\.gate=true .*LightGCN.* set method\.gate=false\."):
            TRU(TRUOptions(gate_form=form)).check(trained("lightgcn"))
    TRU(TRUOptions(gate=False)).check(trained("lightgcn"))
    TRU(TRUOptions(gate_form="score")).check(trained("lightgcn"))
    TRU(TRUOptions()).check(trained("mgcn"))


def test_all_fusion_weights_are_zero_in_the_limit_of_lambda() -> None:
    limit = {"gate_masked": False, "lambda_fusion": 1e12, "reverse_lr": 1e-9, "alpha": 1.0, "epochs": 1}
    result, _, _ = run("tru", "mgcn", scaling=False, **limit)
    assert all(bool((weight == 0).all()) for weight in result.model.fusion_parameters())
    before = weights(private_copy(trained("mgcn"), problem()))
    assert torch.allclose(result.model.user_embedding, before["user_embedding"], atol=1e-6)

"""UnlearnRec on request: identity, what moves, what is left, what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from datasets.errors import InputError
from datasets.requests import DeletionRequest
from tests.unlearning.cells import (
    changed,
    private_copy,
    problem,
    same,
    trained,
    weights,
)
from tests.unlearning.forgetting import forget_loss
from tests.unlearning.unlearnrec_runs import BACKBONES, method, prepared, unlearn, watch_adam
from unlearning.base import PreparedState, Problem
from unlearning.influence import Influence
from unlearning.influence_encoder import request_graph


def nothing_asked() -> Problem:
    task = problem("interaction")
    nobody = torch.empty(0, dtype=torch.long)
    empty = DeletionRequest("interaction", nobody, nobody, task.full.train[:, :0])
    return dataclasses.replace(task, request=empty, retain=empty.apply(task.full))


def with_zero_biases(state: PreparedState) -> PreparedState:
    tensors = {n: torch.zeros_like(t) if ".biases." in n else t for n, t in state.tensors.items()}
    return PreparedState(tensors, state.figures)


# Identity.


def test_an_empty_request_changes_nothing_with_the_last_layer_and_zero_biases() -> None:
    options = {"readout": "last", "finetune_epochs": 0}
    state = with_zero_biases(prepared(**options))
    assert any(t.any() for n, t in state.tensors.items() if n.endswith(".influence"))
    model, *_ = unlearn(task=nothing_asked(), state=state, **options)
    assert same(weights(model), weights(trained("lightgcn")))
    model, *_ = unlearn(task=nothing_asked(), state=with_zero_biases(prepared()), finetune_epochs=0)
    assert not same(weights(model), weights(trained("lightgcn"))), "the sum holds H0 itself"


def test_with_the_last_layer_only_rows_of_the_request_change() -> None:
    options = {"readout": "last", "finetune_epochs": 0}
    model, task, *_ = unlearn(state=with_zero_biases(prepared(**options)), **options)
    for side, row in (("user", 0), ("item", 1)):
        own, before = (of.id_tables()[side].detach() for of in (model, trained("lightgcn")))  # type: ignore[index]
        moved = (own != before).any(dim=1).nonzero().squeeze(1)
        assert torch.equal(moved, task.request.forget[row].unique())


@pytest.mark.parametrize("backbone", BACKBONES)
def test_without_fine_tuning_the_tables_are_e0_plus_what_the_encoder_says(backbone: str) -> None:
    model, task, tape, _ = unlearn(backbone, finetune_epochs=0)
    influence: Influence = method()._influence(trained(backbone), 0)
    influence.load_state_dict(task.prepared.tensors)
    edges = request_graph(task.request.forget, task.full.num_users, task.full.num_items).adjacency
    with torch.no_grad():
        changes = influence.changes(influence.signals(edges), task.full.withdrawn_items)
    for name, value in weights(trained(backbone)).items():
        expected = value + changes[name] if name in changes else value
        assert torch.equal(model.get_parameter(name), expected), name
    assert len(tape.curves) == 1
    assert tape.count == 0


# What moves.


@pytest.mark.parametrize("backbone", BACKBONES)
def test_fine_tuning_moves_the_perceptron_and_e0_alone(
    backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = prepared(backbone)
    before = {name: value.clone() for name, value in state.tensors.items()}
    given = watch_adam(monkeypatch)
    model, *_ = unlearn(backbone, state=state)
    plain, *_ = unlearn(backbone, state=state, finetune_epochs=0)
    (moving, _) = given
    tables, perceptron = dict(model.id_tables()), 4
    assert len(moving) == len(tables) + perceptron
    start = {side: table.detach() for side, table in trained(backbone).id_tables().items()}
    for side, parameter in zip(start, moving, strict=False):
        assert not torch.equal(parameter.detach(), start[side]), "E0 is a parameter"
    assert {name for name in state.tensors if not torch.equal(before[name], state.tensors[name])} == set()
    names = {"user_embedding"} if backbone == "mig_gt" else {"user_embedding", "item_embedding"}
    assert set(changed(weights(trained(backbone)), weights(model))) == names
    assert set(changed(weights(plain), weights(model))) == names
    assert all(p.grad is None for p in model.parameters())
    assert [p.requires_grad for p in model.parameters()] == [
        p.requires_grad for p in trained(backbone).parameters()
    ]


def test_fine_tuning_counts_the_batch_and_all_forgotten_pairs_of_each_step() -> None:
    _, task, tape, _ = unlearn(finetune_epochs=2, finetune_batches=3)
    retained, forgotten = task.retain.train.shape[1], task.request.forget.shape[1]
    steps = min(3, -(-retained // 64))
    assert tape.count == 2 * (min(retained, 3 * 64) + steps * forgotten)
    assert [set(values) for values in tape.curves] == [set(), {"loss/finetune"}, {"loss/finetune"}]


# Requests.


def test_forgotten_pairs_of_an_unseen_request_lose_margin_by_the_encoder_alone() -> None:
    options = {"epochs": 30, "redraw_every": 1, "readout": "last", "patience": None, "finetune_epochs": 0}
    model, task, *_ = unlearn(**options)
    before = forget_loss(private_copy(trained("lightgcn"), task), task)
    assert forget_loss(model, task) > 1.5 * before


def test_notes_compare_the_request_with_the_simulated_ones() -> None:
    _, task, _, notes = unlearn(task=problem("user"), simulate="interaction")
    assert notes["request_rate"] == pytest.approx(task.request.forget.shape[1] / task.full.train.shape[1])
    assert notes["request_emptied_users"] == 1.0
    assert notes["pretrain_emptied_users"] < 0.2
    assert 0.03 <= notes["pretrain_rate"] <= 0.3
    assert notes["tables"] == 2
    assert {"pretrain_gap", "pretrain_kept", "pretrain_epochs", "pretrain_best_epoch"} <= notes.keys()


def test_all_branches_change_feature_tables_and_leave_withdrawn_content_blank() -> None:
    task = problem("item", backbone="mgcn")
    model, *_, notes = unlearn("mgcn", task, branches="all")
    assert notes["tables"] == 4
    before = weights(private_copy(trained("mgcn"), task))
    moved = set(changed(before, weights(model)))
    assert moved == {"user_embedding", "item_embedding", "feature_tables.image", "feature_tables.text"}
    for modality in ("image", "text"):
        rows = model.get_parameter(f"feature_tables.{modality}").detach()
        assert not rows[task.request.items].any()
        assert rows.any(dim=1).sum() == len(rows) - len(task.request.items)


def test_all_branches_of_a_backbone_without_feature_tables_are_the_id_branch() -> None:
    one, every = (unlearn("mig_gt", branches=b)[0] for b in ("id", "all"))
    assert same(weights(one), weights(every))


def test_the_source_of_a_feature_branch_is_its_rows_and_one_step_of_them_for_users() -> None:
    state, model = prepared("mgcn", branches="all"), trained("mgcn")
    data = problem().full
    rows = model.get_parameter("feature_tables.image").detach()
    users, items = data.train
    degrees = [torch.bincount(ids, minlength=n).float() for ids, n in ((users, 40), (items, 24))]
    step = torch.zeros(40, rows.shape[1])
    for user, item in data.train.t().tolist():
        step[user] += rows[item] / (degrees[0][user] * degrees[1][item]).sqrt()
    source = state.tensors["source_image"]
    assert torch.equal(source[40:], rows)
    assert torch.allclose(source[:40], step, atol=1e-5)
    assert torch.equal(prepared("mgcn", withdraw_source="id").tensors["source_id"][:40], model.user_embedding)  # type: ignore[arg-type]
    assert torch.equal(state.tensors["source_id"][:40], state.tensors["trained_users"])


@pytest.mark.parametrize(
    ("backbone", "options", "sentence"),
    [
        ("vbpr", {}, r"unlearnrec runs on LightGCN, MGCN, FREEDOM, BM3, MIGGT and not on VBPR: choose"),
        ("mig_gt", {"withdraw_source": "id"}, r"MIGGT has user only: set method\.withdraw_source=final\."),
        ("lightgcn", {"min_rate": 0.4}, r"method\.min_rate=0\.4 is above method\.max_rate=0\.3: lower"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(
    backbone: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        method(**options).check(trained(backbone))

"""UnlearnRec: what moves in each phase, what preparation knows, and what a request leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datasets.errors import InputError
from datasets.requests import DeletionRequest
from models.base import Recommender
from models.optimiser import adam
from tests.unlearning.cells import (
    REGIMES,
    Tape,
    changed,
    private_copy,
    problem,
    ready,
    same,
    trained,
    weights,
)
from tests.unlearning.forgetting import forget_loss
from unlearning import unlearnrec
from unlearning.base import PreparedState, Problem, Setting
from unlearning.influence import Influence
from unlearning.influence_checkpoints import Checkpoints, Figures
from unlearning.influence_encoder import request_graph
from unlearning.simulated_requests import SimulatedRequest, simulate
from unlearning.unlearnrec import UnlearnRec, UnlearnRecOptions

BACKBONES = ("lightgcn", "mgcn", "freedom", "bm3", "mig_gt")


def method(**options: Any) -> UnlearnRec:
    return UnlearnRec(UnlearnRecOptions(**{"epochs": 2, **options}))


def prepared(backbone: str = "lightgcn", regime: str = "interaction", **options: Any) -> PreparedState:
    state = ready(method(**options), trained(backbone), problem(regime, backbone=backbone)).prepared
    assert isinstance(state, PreparedState)
    return state


def unlearn(
    backbone: str = "lightgcn",
    task: Problem | None = None,
    state: PreparedState | None = None,
    **options: Any,
) -> tuple[Recommender, Problem, Tape, dict[str, Any]]:
    """A request on a copy of the trained backbone; the state is prepared unless given."""
    unlearner, tape = method(**options), Tape()
    task = task or problem("interaction", backbone=backbone)
    torch.manual_seed(0)
    if state is None:
        task = ready(unlearner, trained(backbone), task)
    else:
        task = dataclasses.replace(task, prepared=state)
    torch.manual_seed(0)
    model = private_copy(trained(backbone), task)
    result = unlearner.unlearn(model, task, tape)
    assert result.model is model
    return model, task, tape, result.notes


def nothing_asked() -> Problem:
    task = problem("interaction")
    nobody = torch.empty(0, dtype=torch.long)
    empty = DeletionRequest("interaction", nobody, nobody, task.full.train[:, :0])
    return dataclasses.replace(task, request=empty, retain=empty.apply(task.full))


def watch_adam(monkeypatch: pytest.MonkeyPatch) -> list[list[nn.Parameter]]:
    """The parameters that each optimiser was given."""
    given: list[list[nn.Parameter]] = []

    def spied(parameters: Iterable[nn.Parameter], learning_rate: float) -> torch.optim.Adam:
        given.append(list(parameters))
        return adam(given[-1], learning_rate)

    monkeypatch.setattr(unlearnrec, "adam", spied)
    return given


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
def test_pre_training_moves_the_encoders_alone(backbone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given, unlearner = watch_adam(monkeypatch), method()
    task = problem("interaction", backbone=backbone)
    own = private_copy(trained(backbone), task, "full")
    setting = Setting(task.full, torch.Generator().manual_seed(0), 64, 0.01, task.workshop)
    state = unlearner.prepare(own, setting)
    assert same(weights(own), weights(trained(backbone)))
    assert all(p.grad is None for p in own.parameters())
    assert [p.requires_grad for p in own.parameters()] == [
        p.requires_grad for p in trained(backbone).parameters()
    ]
    (moving,) = given
    assert {id(p) for p in moving}.isdisjoint(id(p) for p in own.parameters())
    start = unlearner._influence(own, setting.generator.initial_seed()).state_dict()
    still = {
        n for n, value in start.items() if n.startswith("encoders.") and torch.equal(value, state.tensors[n])
    }
    assert not still, "H0, the rates and every layer of the perceptron learn"


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


# What preparation knows.


def test_the_seed_of_preparation_decides_where_the_perceptrons_start() -> None:
    first, again, other = (method()._influence(trained("lightgcn"), seed) for seed in (1, 1, 2))
    assert same(weights(first), weights(again))
    assert set(changed(weights(first), weights(other))) == {
        f"encoders.id.perceptron.weights.{layer}" for layer in range(2)
    }


@pytest.mark.parametrize("backbone", BACKBONES)
def test_preparation_is_bit_equal_whatever_the_request(backbone: str) -> None:
    states = []
    for regime in REGIMES:
        torch.manual_seed(0)
        states.append(prepared(backbone, regime))
    assert all(same(states[0].tensors, other.tensors) for other in states[1:])
    assert all(states[0].figures == other.figures for other in states[1:])


def test_preparation_does_without_the_options_that_act_on_request() -> None:
    other = {
        "finetune_epochs": 7,
        "finetune_batches": None,
        "finetune_rate": 0.5,
        "finetune_unlearn_weight": 3.0,
        "finetune_preserve_weight": 3.0,
        "graph_at_unlearning": "full",
        "graph_at_evaluation": "full",
    }
    assert set(other) == set(UnlearnRec.online_options)
    assert same(prepared().tensors, prepared(**other).tensors)


@pytest.mark.parametrize(
    "option",
    [
        {"readout": "last"},
        {"simulate": "user"},
        {"reduction": "sum"},
        {"withdraw_source": "id"},
        {"layers": 2},
        {"withdraw_weight": 1.0},
        {"max_rate": 0.5},
        {"redraw_every": 1},
        {"steps_per_epoch": 1},
        {"learning_rate": 0.01},
        {"unlearn_weight": 0.1},
        {"preserve_weight": 0.1},
        {"contrast_weight": 0.1},
        {"temperature": 1.0},
        {"edge_dropout": 0.5},
    ],
)
def test_every_other_option_acts_in_preparation(option: dict[str, Any]) -> None:
    assert not same(prepared().tensors, prepared(**option).tensors)


def test_the_checkpoint_is_chosen_on_requests_that_training_never_saw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[SimulatedRequest] = []
    learned: list[Tensor] = []
    lesson = UnlearnRec._lesson

    def spied_draw(*arguments: Any) -> SimulatedRequest:
        drawn.append(simulate(*arguments))
        return drawn[-1]

    def spied_lesson(
        self: UnlearnRec, backbone: Any, influence: Any, one: SimulatedRequest, *rest: Any
    ) -> Any:
        learned.append(one.request.forget)
        return lesson(self, backbone, influence, one, *rest)

    monkeypatch.setattr(unlearnrec, "simulate", spied_draw)
    monkeypatch.setattr(UnlearnRec, "_lesson", spied_lesson)
    figures = prepared(epochs=7, redraw_every=3, judge_every=2, patience=None).figures
    assert len(drawn) == 3 + 3
    assert [one.request.forget for one in drawn[3:]] == learned
    assert not any(torch.equal(one.request.forget, other) for one in drawn[:3] for other in learned)
    assert figures["rate"] == pytest.approx(sum(one.rate for one in drawn[:3]) / 3)
    assert figures["epochs"] == 7
    assert figures["best_epoch"] in (2, 4, 6, 7)


def test_each_epoch_learns_on_the_graph_without_its_simulated_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bound: list[Any] = []
    used: list[Any] = []
    kind, descend = type(trained("lightgcn")), unlearnrec.descend
    bind = kind.bind

    def spied_bind(self: Recommender, data: Any) -> None:
        bound.append(data)
        bind(self, data)

    def spied_descend(model: Recommender, batches: Any, *rest: Any) -> float:
        seen = []

        def told() -> Any:
            for batch in batches:
                seen.append(batch.users * model.num_items + batch.positives)
                yield batch

        loss = descend(model, told(), *rest)
        used.append((bound[-1], torch.cat(seen)))
        return loss

    monkeypatch.setattr(kind, "bind", spied_bind)
    monkeypatch.setattr(unlearnrec, "descend", spied_descend)
    prepared(epochs=6, redraw_every=4, judge_every=1, patience=None)
    assert len(used) == 6
    for data, keys in used:
        pairs = data.train[0] * data.num_items + data.train[1]
        assert torch.equal(keys.sort().values, pairs.sort().values)
        assert data.train.shape[1] < problem().full.train.shape[1]
    assert len({id(data) for data, _ in used}) == 2


def judged(monkeypatch: pytest.MonkeyPatch, *gaps: float) -> None:
    """Let the judgements come out like this, with all recall kept."""
    found = iter(gaps)
    monkeypatch.setattr(Checkpoints, "_measured", lambda self, tables: Figures(next(found), 1.0, 1.0))


def test_patience_ends_pre_training(monkeypatch: pytest.MonkeyPatch) -> None:
    judged(monkeypatch, 1.0, 3.0, 2.0, 2.5, 9.0)
    figures = prepared(epochs=60, judge_every=1, patience=2).figures
    assert (figures["epochs"], figures["best_epoch"], figures["gap"]) == (4, 2, 3.0)


def test_what_is_handed_over_is_the_state_that_was_judged_best(monkeypatch: pytest.MonkeyPatch) -> None:
    judged(monkeypatch, 3.0, 2.0, 1.0)
    longer = prepared(epochs=3, judge_every=1, patience=None)
    judged(monkeypatch, 3.0)
    assert same(longer.tensors, prepared(epochs=1, judge_every=1).tensors)


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

"""What the contract promises, for every registered backbone."""

from __future__ import annotations

import copy
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from bench.config.registry import load_class
from bench.config.source import options_of
from bench.train.options import TrainConfig
from datasets.interactions import InteractionData
from datasets.requests import DeletionRequest
from models import BACKBONES
from models.base import Recommender
from tests.models.dense import batch_of
from tests.registered import TRAINED
from tests.tiny import tiny_data

CONF = Path(__file__).parents[2] / "conf"
NONE = torch.empty(0, dtype=torch.long)
WITHOUT_GRAPH = {"bpr", "vbpr"}
"""Backbones in which no row reaches another."""
BOOTSTRAPPED = {"bm3"}
"""Backbones without negatives, whose targets are held constant: their gradient is of no function."""
PIECEWISE = {"mig_gt", "mmgcn"}
"""Backbones with kinks, against finite differences; their second derivatives are tested beside them."""
IN_BATCH = {"slmrec"}
"""Backbones whose ranking term sets each user's positive against those of the rest of the batch."""
CURVED = {"lgmrec", "slmrec"}
"""Backbones whose low temperatures bend the loss within the usual finite difference."""
BACKBONE_NAMES = TRAINED
every_backbone = pytest.mark.parametrize("name", BACKBONE_NAMES)
multimodal = pytest.mark.parametrize(
    "name", [name for name in BACKBONE_NAMES if load_class("backbone", name).multimodal]
)


def build(name: str, data: InteractionData, seed: int = 0) -> Recommender:
    torch.manual_seed(seed)
    model: Recommender = load_class("backbone", name)(data, options_of("backbone", name)())
    return model


def request_users(data: InteractionData, users: list[int]) -> DeletionRequest:
    ids = torch.tensor(users)
    return DeletionRequest("user", ids, NONE, data.train[:, torch.isin(data.train[0], ids)])


def request_items(data: InteractionData, items: list[int]) -> DeletionRequest:
    ids = torch.tensor(items)
    return DeletionRequest("item", NONE, ids, data.train[:, torch.isin(data.train[1], ids)])


def outputs(model: Recommender) -> Tensor:
    """Embeddings of users and items [users + items, 2 d], in evaluation and in one draw of training."""
    with torch.no_grad():
        evaluated = torch.cat(model.eval().embeddings())
        torch.manual_seed(3)
        return torch.cat([evaluated, torch.cat(model.train().embeddings())], dim=1)


@every_backbone
def test_every_trained_parameter_is_in_one_module_and_gets_a_gradient(name: str) -> None:
    data = tiny_data()
    model = build(name, data)
    listed = [p for modules in model.modules_by_branch().values() for ps in modules.values() for p in ps]
    trained = [p for p in model.parameters() if p.requires_grad]
    assert sorted(map(id, listed)) == sorted(map(id, trained))
    model.loss(batch_of(data)).total.backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@every_backbone
def test_branches_are_the_data_sets_and_fusion_weights_are_parameters(name: str) -> None:
    data = tiny_data()
    model = build(name, data)
    assert set(model.modules_by_branch()) <= {"id", "shared", *data.modalities}
    parameters = {id(p) for p in model.parameters()}
    fusion = [id(p) for p in model.fusion_parameters()]
    assert len(set(fusion)) == len(fusion)
    assert set(fusion) <= parameters
    assert {id(p) for p in model.id_tables().values()} <= parameters


@every_backbone
def test_loss_terms_are_finite_scalars(name: str) -> None:
    data = tiny_data()
    terms = build(name, data).loss(batch_of(data))
    for term in (terms.ranking, terms.regulariser, *terms.auxiliary.values()):
        assert term.shape == ()
        assert term.isfinite()
    assert not terms.ranking.detach().equal(torch.zeros(()))


@pytest.mark.parametrize("name", [name for name in BACKBONE_NAMES if name not in BOOTSTRAPPED | IN_BATCH])
def test_the_ranking_term_prefers_positives_by_score(name: str) -> None:
    """Without dropout, the ranking term is BPR on the very scores that ``scorer`` ranks with."""
    data = tiny_data()
    model, batch = build(name, data).eval(), batch_of(data)
    with torch.no_grad():
        scores = model.scores(batch.users)
        margins = scores.gather(1, batch.positives[:, None]) - scores.gather(1, batch.negatives[:, None])
        torch.testing.assert_close(model.loss(batch).ranking, -torch.nn.functional.logsigmoid(margins).mean())


@pytest.mark.parametrize("name", [name for name in BACKBONE_NAMES if name not in WITHOUT_GRAPH])
def test_after_binding_no_output_depends_on_a_forgotten_users_row(name: str) -> None:
    data = tiny_data()
    model = build(name, data)
    others = torch.arange(data.num_users + data.num_items) != 3

    def moved() -> bool:
        before = outputs(model)
        with torch.no_grad():
            model.id_tables()["user"][3] += 1.0
        return not torch.equal(before[others], outputs(model)[others])

    assert moved()
    model.bind(request_users(data, [3]).apply(data))
    assert not moved()


@every_backbone
@pytest.mark.parametrize("regime", ["user", "interaction"])
def test_after_binding_what_was_forgotten_makes_no_difference(name: str, regime: str) -> None:
    """Two histories that differ only in forgotten pairs end in the same outputs."""
    data = tiny_data()
    request = request_users(data, [3, 8])
    if regime == "interaction":
        request = replace(request, regime="interaction", users=NONE, forget=request.forget[:, ::2])
    retained = request.apply(data)
    swapped = (request.forget + torch.tensor([[0], [1]])) % torch.tensor([[data.num_users], [data.num_items]])
    other = replace(data, train=torch.cat([retained.train, swapped], dim=1))
    first, second = build(name, data), build(name, other)
    assert torch.equal(outputs(first), outputs(second)) == (name in WITHOUT_GRAPH)
    first.bind(retained)
    second.bind(retained)
    assert torch.equal(outputs(first), outputs(second))
    assert torch.equal(outputs(first), outputs(build(name, retained)))


@every_backbone
def test_the_state_is_the_parameters_only(name: str) -> None:
    data = tiny_data()
    model = build(name, data)
    assert set(model.state_dict()) == {n for n, _ in model.named_parameters()}
    other = build(name, request_users(data, [3]).apply(data), seed=1)
    other.load_state_dict(model.state_dict())
    other.bind(data)
    assert torch.equal(outputs(model), outputs(other))


@every_backbone
def test_cold_users_and_items_get_finite_scores(name: str) -> None:
    data = tiny_data()
    keep = (data.train[0] != 5) & (data.train[1] != 7)
    model = build(name, replace(data, train=data.train[:, keep]))
    with torch.no_grad():
        scores = model.scores(torch.arange(data.num_users))
    assert scores.shape == (data.num_users, data.num_items)
    assert scores.isfinite().all()


@every_backbone
def test_the_seed_decides_the_initial_weights(name: str) -> None:
    data = tiny_data()
    first, second = build(name, data).state_dict(), build(name, data).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(outputs(build(name, data)), outputs(build(name, data, seed=1)))


@every_backbone
def test_a_deep_copy_is_independent(name: str) -> None:
    data = tiny_data()
    model = build(name, data)
    twin, before = copy.deepcopy(model), outputs(model)
    assert torch.equal(outputs(twin), before)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter += 1.0
    twin.bind(request_users(data, [3]).apply(data))
    assert not torch.equal(outputs(twin), before)
    assert torch.equal(outputs(model), before)


@pytest.mark.parametrize("name", [name for name in BACKBONE_NAMES if name not in BOOTSTRAPPED | PIECEWISE])
def test_the_loss_has_second_derivatives(name: str) -> None:
    """The curvature along a direction agrees with a finite difference of slopes."""
    data = tiny_data()
    model, batch = build(name, data).eval(), batch_of(data)
    parameters = list(model.parameters())
    torch.manual_seed(1)
    direction = [torch.randn_like(p) for p in parameters]

    def slope() -> Tensor:
        gradient = torch.autograd.grad(model.loss(batch).total, parameters, create_graph=True)
        return torch.stack([(g * v).sum() for g, v in zip(gradient, direction, strict=True)]).sum()

    def moved(step: float) -> float:
        with torch.no_grad():
            for p, v in zip(parameters, direction, strict=True):
                p += step * v
        return slope().item()

    step = 2e-4 if name in CURVED else 1e-2
    products = torch.autograd.grad(slope(), parameters)
    curvature = sum((h * v).sum().item() for h, v in zip(products, direction, strict=True))
    difference = (moved(step) - moved(-2 * step)) / (2 * step)
    assert curvature == pytest.approx(difference, rel=2e-2)


@multimodal
def test_a_withdrawn_items_content_has_no_influence(name: str) -> None:
    data = tiny_data()
    retained = request_items(data, [4, 11]).apply(data)
    leaky = {m: x.clone() for m, x in data.features.items()}  # withdrawn, but the reader still shows them
    for content in leaky.values():
        content[[4, 11]] = torch.randn(2, content.shape[1])
    first, second = build(name, data), build(name, data)
    assert torch.equal(outputs(first), outputs(second))
    first.bind(retained)
    second.bind(replace(retained, features=leaky))
    assert torch.equal(outputs(first), outputs(second))


@multimodal
def test_a_withdrawn_items_row_is_blank_and_stays_without_influence(name: str) -> None:
    data = tiny_data()
    retained = request_items(data, [4]).apply(data)
    model = build(name, data)
    model.bind(retained)
    tables = [p for p in model.parameters() if p.shape[0] == data.num_items and not p[4].any()]
    trained = getattr(model.options, "train_features", False)
    assert len(tables) == (len(data.modalities) if trained else 0)
    model.loss(batch_of(retained)).total.backward()
    assert not any(table.grad[4].any() for table in tables if table.grad is not None)
    before = outputs(model)
    with torch.no_grad():
        for table in tables:
            table[4] = 7.0
    assert torch.equal(outputs(model), before)


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_the_yaml_lists_every_option_with_its_default(name: str) -> None:
    group = yaml.safe_load((CONF / "backbone" / f"{name}.yaml").read_text(encoding="utf-8"))["backbone"]
    assert group.pop("name") == name
    assert group == asdict(options_of("backbone", name)())


@pytest.mark.parametrize("path", sorted((CONF / "published").glob("*.yaml")), ids=lambda path: path.stem)
def test_published_values_name_existing_options(path: Path) -> None:
    name = max((name for name in BACKBONES if path.stem.startswith(f"{name}_")), key=len)
    sections = yaml.safe_load(path.read_text(encoding="utf-8"))
    for other in sections.pop("defaults", []):  # another pair's file, taken as it is
        assert (path.parent / f"{other}.yaml").exists()
        sections.setdefault("backbone", {})
    options_of("backbone", name)(**sections.pop("backbone"))
    TrainConfig(**sections.pop("train", {}))
    assert sections == {}

"""Every backbone that UnlearnRec names reads its tables where they are replaced."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from models.base import Recommender
from tests.unlearning.cells import problem, same, trained, weights
from unlearning.distillation import frozen
from unlearning.influence import changed_tables
from unlearning.replaced_tables import ReplacedTables, added, copied_tables, held_still, settle

BACKBONES = ("lightgcn", "mgcn", "freedom", "bm3", "mig_gt")


def tables_of(model: Recommender) -> list[str]:
    return [name for rows in changed_tables(model, "all").values() for name in rows]


def others(tables: dict[str, Tensor]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {n: t + 0.1 * torch.randn(t.shape, generator=generator) for n, t in tables.items()}


def test_the_tables_are_those_that_a_backbone_trains() -> None:
    found = {backbone: changed_tables(trained(backbone), "all") for backbone in BACKBONES}
    both = {"user_embedding": slice(0, 40), "item_embedding": slice(40, 64)}
    content = {m: {f"feature_tables.{m}": slice(40, 64)} for m in ("image", "text")}
    assert found["lightgcn"] == {"id": both}
    assert found["mig_gt"] == {"id": {"user_embedding": slice(0, 40)}}
    for backbone in ("mgcn", "freedom", "bm3"):
        assert found[backbone] == {"id": both, **content}
        assert changed_tables(trained(backbone), "id") == {"id": both}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_replaced_table_acts_as_if_it_were_the_models_own(backbone: str) -> None:
    for name in tables_of(trained(backbone)):
        check_one_table(trained(backbone), name)


def check_one_table(model: Recommender, name: str) -> None:
    before = weights(model)
    tables = others(copied_tables(model, [name]))
    own = copy.deepcopy(model)
    settle(own, tables)
    batch = next(iter(problem().retain_sampler().epoch(64)))

    def answer(of: Recommender) -> list[Tensor]:
        of.train()
        of.start_epoch()
        torch.manual_seed(0)
        return [*frozen(of), of.loss(batch).total.detach()]

    run = ReplacedTables(model).run(tables, answer)
    assert all(torch.equal(a, b) for a, b in zip(run, answer(own), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(run, answer(model), strict=True))
    assert same(before, weights(model))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_gradient_reaches_replaced_tables_and_no_weight_of_the_backbone(backbone: str) -> None:
    model = copy.deepcopy(trained(backbone))
    tables = {name: table.requires_grad_() for name, table in copied_tables(model, tables_of(model)).items()}
    batch = next(iter(problem().retain_sampler().epoch(64)))
    model.train()
    with held_still(model):
        ReplacedTables(model).run(tables, lambda own: own.loss(batch).total).backward()
    assert all(table.grad is not None and table.grad.any() for table in tables.values())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_held_still_gives_every_flag_back() -> None:
    model = copy.deepcopy(trained("lightgcn"))
    model.user_embedding.requires_grad_(False)
    with held_still(model):
        assert not any(parameter.requires_grad for parameter in model.parameters())
    assert [parameter.requires_grad for parameter in model.parameters()] == [False, True]


def test_adding_and_settling() -> None:
    model = copy.deepcopy(trained("lightgcn"))
    start = copied_tables(model, ["user_embedding"])
    settle(model, added(start, {"user_embedding": torch.ones_like(start["user_embedding"])}))
    assert torch.equal(model.get_parameter("user_embedding"), start["user_embedding"] + 1)

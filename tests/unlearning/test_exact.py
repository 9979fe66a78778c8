"""Exact removal through the pipeline: the cell's own figures, and who may work on a closed form."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.config.registry import load_class, registry
from bench.config.source import options_of
from datasets.errors import InputError
from models.base import Recommender
from models.closed_form import ClosedForm
from tests.leakage.observed import observe
from tests.registered import CLOSED_FORMS, ONLY_CLOSED_FORMS, TRAINED
from tests.tiny import tiny_data
from unlearning.base import UnlearningMethod

EVERYWHERE = {"original", "retrain", "graph_only", "exact"}
"""Methods that ask for nothing but a model."""


def built(name: str) -> Recommender:
    model: Recommender = load_class("backbone", name)(tiny_data(), options_of("backbone", name)())
    return model


def closed(name: str) -> ClosedForm:
    model = built(name)
    assert isinstance(model, ClosedForm)
    return model


def method(name: str) -> UnlearningMethod:
    kind = load_class("method", name)
    made: UnlearningMethod = kind(kind.Options())
    return made


@pytest.mark.parametrize("backbone", CLOSED_FORMS)
@pytest.mark.parametrize("regime", ["user", "item", "interaction"])
def test_a_cell_of_exact_is_one_of_gold(backbone: str, regime: str, tmp_path: Path) -> None:
    place = ("regime.ratio=0.2", f"backbone={backbone}", f"regime={regime}")
    exact, gold, original = (
        observe(tmp_path, f"method={name}", *place).outcome.measured.metrics
        for name in ("exact", "retrain", "original")
    )
    of_cost = ("time/", "cost/")
    assert {k: v for k, v in exact.items() if not k.startswith(of_cost)} == {
        k: v for k, v in gold.items() if not k.startswith(of_cost)
    }
    assert exact["forget/recall_at_20"] != original["forget/recall_at_20"]
    assert exact["cost/unlearn_steps"] == exact["cost/gold_steps"] == 0


def test_a_cell_says_how_many_rows_were_touched(tmp_path: Path) -> None:
    seen = observe(tmp_path, "method=exact", "backbone=itemknn", "regime=user", "regime.ratio=0.2")
    assert seen.outcome.notes == {"touched_users": len(seen.task.request.users)}
    assert seen.outcome.gold.stopped_by == "closed form"


@pytest.mark.parametrize("name", sorted(registry("method")))
def test_what_needs_training_is_refused_on_a_closed_form(name: str) -> None:
    if name in EVERYWHERE:
        method(name).accept(name, closed("ease"))
        return
    with pytest.raises(InputError, match=rf"method={name} cannot work on EASE, which is in closed form"):
        method(name).accept(name, closed("ease"))


@pytest.mark.parametrize("backbone", TRAINED)
def test_exact_is_refused_where_something_is_trained(backbone: str) -> None:
    assert {"exact"} == ONLY_CLOSED_FORMS
    with pytest.raises(InputError, match="is trained: choose backbone=ease"):
        method("exact").accept("exact", built(backbone))


@pytest.mark.parametrize("backbone", CLOSED_FORMS)
def test_a_closed_form_has_nothing_that_is_trained(backbone: str) -> None:
    model = closed(backbone)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.modules_by_branch() == model.id_tables() == {}
    for ask in (model.embeddings, lambda: model.loss(None)):  # type: ignore[arg-type]
        with pytest.raises(NotImplementedError, match="is in closed form"):
            ask()
    state = model.state_dict()
    model.fit(tiny_data())
    assert any(not torch.equal(state[name], value) for name, value in model.state_dict().items())
    model.load_state_dict(state)


def test_too_many_items_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.closed_form.MOST_ITEMS", 20)
    with pytest.raises(InputError, match="24 are more than 20: choose another backbone"):
        closed("ease")

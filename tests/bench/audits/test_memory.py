"""Returning the forgotten data, and the traces of having forgotten, beyond the rules for all audits."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.audits.base import AuditContext
from bench.audits.item_vectors import item_vectors
from bench.audits.memory.put_back import PutBack, bound
from bench.audits.memory.trace import Trace, TraceOptions
from bench.audits.memory.trace_features import item_lists, row_features, user_lists
from bench.cell.workshop import fresh_model
from bench.config.schema import Choice
from bench.config.source import options_of
from bench.measure.evaluate import evaluating
from bench.planning.request import draw
from bench.train.options import TrainConfig
from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.request_options import RequestOptions
from datasets.requests import DeletionRequest
from models.base import Recommender
from tests.bench.audits.planted import planted_cell, planted_data
from tests.bench.audits.test_membership_score import Scores
from tests.tiny import tiny_data


def context_of(data: InteractionData, request: DeletionRequest) -> AuditContext:
    return AuditContext(data, request.apply(data), request, 0, 10_000, TrainConfig())


def outputs(model: Recommender) -> torch.Tensor:
    with evaluating(model):
        return torch.cat(model.embeddings())


@pytest.mark.parametrize("backbone", ["vbpr", "mgcn", "freedom", "mig_gt", "lightgcn"])
def test_what_was_withdrawn_is_all_there_again_after_a_return(backbone: str) -> None:
    """A fresh model holds nothing but the data: bound to the rest and back, it is what it was."""
    data = tiny_data()
    request = draw(RequestOptions(name="item", ratio=0.3), data)
    retain = request.apply(data)
    options = options_of("backbone", backbone)()
    if "dropout" in {field.name for field in dataclasses.fields(options)}:
        options = replace(options, dropout=0.0)
    model = fresh_model(Choice(backbone, options), data, 0)
    before = outputs(model)
    model.bind(retain)
    without = outputs(model)
    assert not torch.allclose(without, before)
    returned = bound(model, data)
    assert torch.allclose(outputs(returned), before, atol=1e-6)
    assert torch.equal(outputs(model), without), "the audited model itself must not be touched"
    assert torch.allclose(outputs(bound(returned, retain)), without, atol=1e-6)


def test_a_row_of_content_that_was_learned_is_not_replaced_by_what_was_read() -> None:
    data = tiny_data()
    model = fresh_model(Choice("mgcn", options_of("backbone", "mgcn")()), data, 0)
    table = next(iter(model.feature_tables.values()))
    with torch.no_grad():
        table += 1.0
    learned = table.clone()
    assert torch.equal(next(iter(bound(model, data).feature_tables.values())), learned)


def test_the_return_is_measured_against_the_graph_without_the_data() -> None:
    cell = planted_cell("user", "none")
    with evaluating(cell.gold) as gold:
        found = PutBack(cell.context).figures(gold)
    assert found["regained"] == pytest.approx(float(found["recall_at_20"]) - float(found["before"]))
    assert float(found["regained_low"]) > 0.2, "a graph backbone recommends along edges that came back"


def test_rows_are_measured_as_they_stand() -> None:
    data = tiny_data()
    model = fresh_model(Choice("lightgcn", options_of("backbone", "lightgcn")()), data, 0)
    table = model.id_tables()["user"]
    with torch.no_grad():
        table.zero_()
        table[:, 0] = torch.arange(data.num_users)
    references = torch.tensor([0, 2, 4, 6, 8])
    found = row_features(model, "user", torch.tensor([4, 5, 20]), references, 2)
    assert found["row_norm"].tolist() == [4, 5, 20]
    # 4 is a reference and not its own neighbour: 2 and 6. Those of 5 are 4 and 6, of 20: 8 and 6.
    assert found["nearest_row"].tolist() == [2, 1, 13]


def test_a_side_without_a_table_is_read_from_the_final_representations() -> None:
    data = tiny_data()
    model = fresh_model(Choice("mig_gt", options_of("backbone", "mig_gt")()), data, 0)
    assert "item" not in model.id_tables()
    ids = torch.arange(6)
    with evaluating(model):
        found = row_features(model, "item", ids, torch.arange(10), 3)
        expected = model.embeddings()[1][ids].norm(dim=1)
    assert found["row_norm"] == pytest.approx(expected.numpy(), rel=1e-5)


def test_level_and_diversity_of_lists() -> None:
    table = torch.zeros(2, 60)
    table[0, :20], table[1, 20:40] = 2.0, 5.0
    vectors = torch.zeros(60, 20, dtype=torch.double)
    vectors[:20, 0] = 3.0  # the first user's list is of one kind, the second's of twenty
    vectors[20:40] = torch.eye(20, dtype=torch.double)
    found = user_lists(Scores(table), torch.tensor([0, 1]), vectors, 60)  # type: ignore[arg-type]
    assert found["score_level"].tolist() == [2, 5]
    assert found["list_diversity"] == pytest.approx([0, 1])


def test_level_and_share_of_items() -> None:
    table = torch.zeros(4, 60)
    table[:, 59] = torch.tensor([1.0, 1.0, 1.0, -9.0])
    found = item_lists(Scores(table), torch.tensor([59, 0, 30]), torch.arange(4), 60)  # type: ignore[arg-type]
    assert found["score_level"].tolist() == [-1.5, 0, 0]
    assert found["list_share"].tolist() == [0.75, 1, 0]


def test_vectors_of_items_know_items_without_pairs() -> None:
    data = tiny_data()
    request = draw(RequestOptions(name="item", ratio=0.3), data)
    vectors = item_vectors(request.apply(data), 8, 0)
    assert vectors[request.items].abs().max() < 1e-12
    assert float(vectors.square().mean()) == pytest.approx(1)


@pytest.mark.parametrize("regime", ["user", "item", "interaction"])
def test_the_forgotten_are_held_against_others_as_active(regime: str) -> None:
    data = planted_data("none")
    ratio = 0.01 if regime == "interaction" else 0.2
    context = context_of(data, draw(RequestOptions(name=regime, ratio=ratio), data))  # type: ignore[arg-type]
    request, side = context.request, int(regime == "item")
    audit = Trace(context, TraceOptions(ratio=1.0 if regime == "interaction" else 1.5))
    gone = torch.cat([request.users, request.items]) if regime != "interaction" else request.forget[0]
    forgotten, controls, references = audit._forgotten, audit._controls, audit._references
    assert set(forgotten) <= set(gone.tolist())
    assert not (set(controls) | set(references)) & set(gone.tolist())
    assert not set(controls) & set(references)
    left = context.retain if regime == "interaction" else data
    activity = torch.bincount(left.train[side]).numpy()
    gaps = np.abs(np.log1p(activity[forgotten]) - np.log1p(activity[controls]))
    assert (gaps <= np.log(audit.options.ratio) + 1e-9).all()


def test_options_reach_the_search_for_traces() -> None:
    context = planted_cell("user", "none").context
    assert len(Trace(context, TraceOptions(references=40))._references) == 40
    few, all_of_them = (len(Trace(context, TraceOptions(ratio=ratio))._forgotten) for ratio in (1.0, 1e6))
    assert few < all_of_them == len(context.request.users)


def test_too_few_to_be_held_against_are_refused() -> None:
    data = tiny_data()
    context = context_of(data, draw(RequestOptions(name="user", ratio=0.3), data))
    with pytest.raises(InputError, match="audits=trace finds only"):
        Trace(context)

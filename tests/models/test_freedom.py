"""FREEDOM against its equations, with any set of modalities, and its pruned graph."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bench.train.loop import train_epoch
from datasets.errors import InputError
from datasets.interactions import InteractionData
from models.freedom import FREEDOM, FREEDOMOptions
from tests.models import dense
from tests.models.content import SETS, data_with_audio, graph_only_data
from tests.tiny import tiny_data
from tests.unlearning.cells import Tape, problem
from unlearning.reverse_repair import Repair


def build(data: InteractionData, **options: object) -> FREEDOM:
    torch.manual_seed(0)
    return FREEDOM(data, FREEDOMOptions(embedding_dim=8, neighbours=6, **options))  # type: ignore[arg-type]


def reference(model: FREEDOM, data: InteractionData, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Final embeddings with the interaction graph of ``pairs``, dense, from the module docstring."""
    graph = torch.zeros(data.num_items, data.num_items)
    for m, share in model.shares.items():
        ones = (dense.dense_item_graph(data.features[m], 6) != 0).float()
        scale = ones.sum(dim=1).rsqrt()
        graph += share * scale[:, None] * ones * scale
    view = torch.linalg.matrix_power(graph, model.options.item_layers) @ model.item_embedding
    ego = torch.cat([model.user_embedding, model.item_embedding])
    final = dense.layer_mean(dense.dense_adjacency(replace(data, train=pairs)), ego, model.options.layers)
    users, items = final.split([data.num_users, data.num_items])
    return users, items + view


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("modalities", SETS, ids="+".join)
def test_everything_matches_the_dense_reference(modalities: tuple[str, ...], training: bool) -> None:
    data, batch = data_with_audio(), dense.batch_of(data_with_audio())
    model = build(data, modalities=modalities, item_layers=2, edge_dropout=0.4, content_weight=0.5)
    model.train(training)
    model.embeddings()
    pairs = data.train
    if training:
        assert model._pruned is not None
        nodes = model._pruned.edges[:, model._pruned.edges[0] < data.num_users]
        pairs = torch.stack([nodes[0], nodes[1] - data.num_users])
        assert pairs.shape[1] == int(0.6 * data.train.shape[1])
    users, items = reference(model, data, pairs)
    torch.testing.assert_close(model.embeddings(), (users, items), rtol=0, atol=1e-5)

    weights = dict(model.named_parameters())
    expected = {"ranking": dense.bpr(users, items, batch)}
    for m in modalities:
        projection, bias = weights[f"projections.{m}.weight"], weights[f"projections.{m}.bias"]
        content = weights[f"feature_tables.{m}"] @ projection.t() + bias
        expected[f"content.{m}"] = 0.5 * dense.bpr(users, content, batch)
    dense.check_terms(model, model.loss(batch), expected)


def test_weights_of_the_item_graph() -> None:
    assert build(tiny_data()).shares == {"image": 0.1, "text": 0.9}
    assert build(data_with_audio()).shares == dict.fromkeys(["audio", "image", "text"], 1 / 3)
    assert build(tiny_data(), modalities=("image",)).shares == {"image": 1.0}
    assert build(tiny_data(), weights={"image": 3, "text": 1}).shares == {"image": 0.75, "text": 0.25}


@pytest.mark.parametrize(
    "weights", [{"image": 1.0}, {"image": 0.0, "text": 0.0}, {"image": 1.0, "audio": 1.0}]
)
def test_weights_of_other_modalities_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(
        InputError, match=r"backbone\.weights=.* must name exactly the modalities image, text"
    ):
        build(tiny_data(), weights=weights)


def test_the_pruned_graph_lasts_for_an_epoch() -> None:
    model = build(tiny_data()).train()

    def edges() -> Tensor:
        model.embeddings()
        assert model._pruned is not None
        return model._pruned.edges

    first = edges()
    assert torch.equal(edges(), first)
    model.start_epoch()
    assert not torch.equal(edges(), first)


@pytest.mark.parametrize("kind", ["training", "repair"])
def test_every_pass_over_the_data_draws_another_graph(kind: str) -> None:
    task = problem()
    model, sampler = build(task.retain), task.retain_sampler()
    repair = Repair(model, task, learning_rate=0.01, batches=2)
    optimiser = torch.optim.Adam(model.parameters())
    drawn = []
    for _ in range(2):
        if kind == "training":
            train_epoch(model, sampler, optimiser, batch_size=64)
        else:
            repair.epoch(Tape())
        drawn.append(model._pruned)
    assert drawn[0] is not None
    assert drawn[0] is not drawn[1]


def test_a_modality_without_features_needs_a_free_table() -> None:
    data = graph_only_data()
    model = build(data, featureless="free_table", train_features=False)
    assert list(model.feature_tables) == ["text"]
    assert "feature_tables.text" in model.modules_by_branch()["text"]
    assert model.eval().embeddings()[1].isfinite().all()


def test_without_weight_there_is_no_content_to_train() -> None:
    model = build(tiny_data(), content_weight=0.0)
    assert model.loss(dense.batch_of(tiny_data())).auxiliary == {}
    assert list(model.modules_by_branch()) == ["id"]

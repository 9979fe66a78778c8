"""LATTICE against its equations, with any set of modalities, and when its graph is rebuilt."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from datasets.interactions import InteractionData
from models.lattice import LATTICE, LATTICEOptions
from tests.models import dense
from tests.models.content import SETS, data_with_audio, graph_only_data
from tests.tiny import tiny_data


def build(data: InteractionData, **options: object) -> LATTICE:
    torch.manual_seed(0)
    return LATTICE(data, LATTICEOptions(embedding_dim=8, neighbours=6, **options))  # type: ignore[arg-type]


def reference_graph(model: LATTICE, data: InteractionData) -> Tensor:
    """The mixed item graph, dense, from the module docstring."""
    weights = dict(model.named_parameters())
    shares = torch.ones(1)
    if len(model.modalities) > 1:
        shares = weights["modality_weights"].exp() / weights["modality_weights"].exp().sum()
    learned, raw = torch.zeros(data.num_items, data.num_items), torch.zeros(data.num_items, data.num_items)
    for share, m in zip(shares, model.modalities, strict=True):
        features = weights.get(f"feature_tables.{m}", data.features[m])
        content = features @ weights[f"projections.{m}.weight"].t() + weights[f"projections.{m}.bias"]
        unit = content / content.norm(dim=1, keepdim=True)
        cosines = unit @ unit.t()
        nearest = torch.zeros_like(cosines).scatter(1, cosines.topk(6, dim=1).indices, 1.0)
        learned = learned + share * nearest * cosines
        raw = raw + share * dense.dense_item_graph(data.features[m], 6)
    scale = learned.sum(dim=1).rsqrt()
    return 0.7 * raw + 0.3 * scale[:, None] * learned * scale


@pytest.mark.parametrize("adjacency", [None, "averaging", "symmetric"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("modalities", SETS, ids="+".join)
def test_everything_matches_the_dense_reference(
    modalities: tuple[str, ...], training: bool, adjacency: str | None
) -> None:
    data, batch = data_with_audio(), dense.batch_of(data_with_audio())
    chosen = {"adjacency": adjacency} if adjacency else {}
    options = {"item_layers": 2, "raw_share": 0.7, "l2": 0.1} | chosen
    model = build(data, modalities=modalities, **options).train(training)
    ego = torch.cat([model.user_embedding, model.item_embedding])
    symmetric = adjacency == "symmetric"
    operator = dense.dense_adjacency(data) if symmetric else dense.dense_averages(data)
    final = dense.layer_mean(operator, ego, 2)
    view = torch.linalg.matrix_power(reference_graph(model, data), 2) @ model.item_embedding
    users, items = final.split([data.num_users, data.num_items])
    items = items + view / view.norm(dim=1, keepdim=True)

    terms = model.loss(batch)  # the epoch's first use of the graph, the one that trains it
    torch.testing.assert_close(model.embeddings(), (users, items), rtol=0, atol=1e-5)
    ranking, regulariser = dense.bpr(users, items, batch), 0.1 * dense.l2(users, items, batch)
    dense.check_terms(model, terms, {"ranking": ranking, "regulariser": regulariser})


def test_the_graph_is_rebuilt_once_per_epoch_of_training_and_in_every_evaluation() -> None:
    data = tiny_data()
    batch, model = dense.batch_of(data), build(data).train()
    weight = model.projections["image"].weight

    def trains_the_projection() -> bool:
        model.zero_grad()
        model.loss(batch).total.backward()
        return weight.grad is not None and bool(weight.grad.any())

    assert trains_the_projection()
    assert not trains_the_projection()
    model.start_epoch()
    assert trains_the_projection()
    held = model.embeddings()[1]
    with torch.no_grad():
        for m in model.modalities:
            model.projections[m].weight.neg_()
            model.projections[m].bias.add_(3.0)
    assert torch.equal(model.embeddings()[1], held)
    assert not torch.allclose(model.eval().embeddings()[1], held)


def test_a_cold_user_is_scored_by_its_own_row_alone() -> None:
    data = tiny_data()
    model = build(replace(data, train=data.train[:, data.train[0] != 5]))
    torch.testing.assert_close(model.embeddings()[0][5], model.user_embedding[5])


def test_branches_and_fusion_weights() -> None:
    model = build(data_with_audio())
    assert list(model.modules_by_branch()) == ["id", "audio", "image", "text", "shared"]
    assert [tuple(p.shape) for p in model.fusion_parameters()] == [(8, 5), (8, 8), (8, 6), (3,)]
    assert list(build(tiny_data(), modalities=("text",)).modules_by_branch()) == ["id", "text"]


def test_a_modality_without_features_can_have_a_free_table() -> None:
    model = build(graph_only_data(), featureless="free_table", train_features=False)
    assert list(model.feature_tables) == ["text"]

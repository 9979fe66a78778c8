"""DualGNN against its equations, with any set of modalities, and what requests leave of its graphs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.requests import DeletionRequest
from models.dualgnn import DualGNN, DualGNNOptions
from tests.models import dense
from tests.models.content import SETS, data_with_audio, graph_only_data
from tests.models.starts import check_normal
from tests.models.test_user_graph import reference as dense_user_graph
from tests.tiny import tiny_data

NONE = torch.empty(0, dtype=torch.long)


def build(data: InteractionData, **options: object) -> DualGNN:
    torch.manual_seed(0)
    return DualGNN(data, DualGNNOptions(embedding_dim=8, user_neighbours=5, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [{}, {"unit_start": False}, {"attention": "softmax"}, {"layer_fusion": "mean"}],
    ids=["released", "raw start", "softmax", "mean"],
)
@pytest.mark.parametrize("modalities", SETS, ids="+".join)
def test_everything_matches_the_dense_reference(
    modalities: tuple[str, ...], options: dict[str, object]
) -> None:
    data, batch = data_with_audio(), dense.batch_of(data_with_audio())
    model = build(data, modalities=modalities, layers=3, l2=0.3, **options)
    weights = dict(model.named_parameters())
    shares, free = torch.ones(data.num_users, 1), torch.zeros(())
    if len(modalities) > 1:
        torch.nn.init.normal_(model.user_attention)
        shares = weights["user_attention"]
        if options.get("attention") == "softmax":
            shares = shares.exp() / shares.exp().sum(dim=1, keepdim=True)
        else:
            free = shares.pow(2).mean()
    adjacency = dense.dense_adjacency(data)
    fused, items = torch.zeros(data.num_users, 8), torch.zeros(data.num_items, 8)
    for k, m in enumerate(modalities):
        preferences = weights["user_embedding"][:, 8 * k : 8 * k + 8]
        content = data.features[m] @ weights[f"projections.{m}.weight"].t() + weights[f"projections.{m}.bias"]
        start = torch.cat([preferences, content])
        if options.get("unit_start", True):
            start = start / start.norm(dim=1, keepdim=True)
        view = sum((torch.linalg.matrix_power(adjacency, k) @ start for k in range(4)), torch.zeros(()))
        view = view / 4 if options.get("layer_fusion") == "mean" else view
        torch.testing.assert_close(torch.cat(model.branch_embeddings()[m]), view, rtol=0, atol=1e-5)
        fused = fused + shares[:, k, None] * view[: data.num_users]
        items = items + view[data.num_users :]
    users = fused + dense_user_graph(data.train, 5) @ fused
    torch.testing.assert_close(model.embeddings(), (users, items), rtol=0, atol=1e-5)

    preferred = weights["user_embedding"][batch.users].view(len(batch.users), len(modalities), 8)
    margins = (users[batch.users] * (items[batch.positives] - items[batch.negatives])).sum(dim=1)
    squares = preferred.pow(2).mean(dim=(0, 2)).sum() + free
    released = -torch.sigmoid(margins).log2().mean() + 0.3 * squares
    terms = model.loss(batch)
    torch.testing.assert_close(terms.total, math.log(2) * released, rtol=0, atol=1e-5)
    expected = {"ranking": dense.bpr(users, items, batch), "regulariser": math.log(2) * 0.3 * squares}
    dense.check_terms(model, terms, expected)


def test_after_a_request_both_graphs_are_those_of_the_retain_set() -> None:
    data = tiny_data()
    model = build(data)
    gone = torch.isin(data.train[0], torch.tensor([3, 8]))
    request = DeletionRequest("user", torch.tensor([3, 8]), NONE, data.train[:, gone])
    model.bind(request.apply(data))
    assert model._user_graph.matrix is not None
    graph = model._user_graph.matrix.to_dense()
    torch.testing.assert_close(graph, dense_user_graph(data.train[:, ~gone], 5))
    assert not graph[[3, 8]].any()
    assert not graph[:, [3, 8]].any()
    assert not torch.isin(model._adjacency.edges, torch.tensor([3, 8])).any()


def test_a_withdrawn_item_is_left_with_nothing() -> None:
    data = tiny_data()
    request = DeletionRequest("item", NONE, torch.tensor([4]), data.train[:, data.train[1] == 4])
    model = build(data)
    assert model.embeddings()[1][4].any()
    model.bind(request.apply(data))
    assert not model.embeddings()[1][4].any()
    assert all(not items[4].any() for _, items in model.branch_embeddings().values())


def test_a_cold_user_is_scored_by_its_own_preferences() -> None:
    data = tiny_data()
    model = build(replace(data, train=data.train[:, data.train[0] != 5]), layers=1, unit_start=False)
    expected = model.user_attention[5] @ model.user_embedding[5].view(2, 8)
    torch.testing.assert_close(model.embeddings()[0][5], expected)


def check_start(model: DualGNN, rows: slice) -> None:
    """Preferences Xavier normal per modality, shares of two modalities that add to one and hardly differ."""
    check_normal(model.user_embedding[rows].detach(), (2 / (model.num_users + 8)) ** 0.5)
    attention = model.user_attention[rows].detach()
    torch.testing.assert_close(attention.sum(dim=1), torch.ones(len(attention)))
    # the difference of two draws of deviation s moves the softmax of two by a quarter of itself
    drawn = (2 / (model.num_users + 2)) ** 0.5
    check_normal(attention[:, 0] - 0.5, drawn * 2**0.5 / 4, rel=0.1)


def test_users_start_as_released_and_forgotten_ones_do_so_again() -> None:
    model = build(replace(tiny_data(), num_users=1500))
    check_start(model, slice(None))
    with torch.no_grad():
        model.user_attention.fill_(2.0)
        model.user_embedding.zero_()
    model.reinitialise_rows("user", torch.arange(1000), torch.Generator().manual_seed(0))
    model.reinitialise_rows("item", torch.arange(20), torch.Generator().manual_seed(0))
    check_start(model, slice(0, 1000))
    assert not model.user_embedding[1000:].any()
    assert (model.user_attention[1000:] == 2).all()


def test_preferences_of_each_modality_start_as_a_table_of_their_own() -> None:
    torch.manual_seed(0)
    model = DualGNN(tiny_data(), DualGNNOptions(embedding_dim=64))
    for preferences in model.user_embedding.detach().split(64, dim=1):
        check_normal(preferences, (2 / (40 + 64)) ** 0.5)


def test_softmax_attention_starts_with_equal_shares() -> None:
    model = build(tiny_data(), attention="softmax")
    assert not model.user_attention.any()
    with torch.no_grad():
        model.user_attention.fill_(2.0)
    model.reinitialise_rows("user", torch.tensor([1, 4]), torch.Generator().manual_seed(0))
    assert (model.user_attention == 0).all(dim=1).nonzero().squeeze(1).tolist() == [1, 4]


def test_branches_and_fusion_weights() -> None:
    model = build(data_with_audio())
    assert list(model.modules_by_branch()) == ["id", "audio", "image", "text", "shared"]
    assert [tuple(p.shape) for p in model.fusion_parameters()] == [(8, 5), (8, 8), (8, 6), (40, 3)]
    assert list(build(tiny_data(), modalities=("text",)).modules_by_branch()) == ["id", "text"]


def test_a_modality_without_features_is_refused_or_gets_a_free_table() -> None:
    with pytest.raises(InputError, match="text has an item graph but no features: supply the features"):
        build(graph_only_data())
    model = build(graph_only_data(), featureless="free_table")
    assert list(model.feature_tables) == ["text"]
    assert "feature_tables.text" in model.modules_by_branch()["text"]

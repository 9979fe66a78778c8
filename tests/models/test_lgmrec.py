"""LGMRec against its equations, with any set of modalities, its noise, and withdrawn items."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch import Tensor

from datasets.errors import InputError
from datasets.interactions import InteractionData
from models.contrast import log_partition
from models.hypergraph import relaxed
from models.lgmrec import LGMRec, LGMRecOptions
from tests.models import dense
from tests.models.content import SETS, data_with_audio, graph_only_data
from tests.tiny import NUM_ITEMS, NUM_USERS, tiny_data


def build(data: InteractionData, **options: object) -> LGMRec:
    torch.manual_seed(0)
    return LGMRec(data, LGMRecOptions(embedding_dim=8, **options))  # type: ignore[arg-type]


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=1, keepdim=True)


def reference(model: LGMRec, data: InteractionData, steps: int) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Final nodes and the global views (users, items) of each modality, dense, from the module docstring."""
    weights = dict(model.named_parameters())
    pairs = torch.zeros(NUM_USERS, NUM_ITEMS)
    pairs[data.train[0], data.train[1]] = 1
    adjacency = dense.dense_adjacency(data)
    behaviour = dense.layer_mean(adjacency, torch.cat([model.user_embedding, model.item_embedding]), 2)
    final, views = behaviour, []
    for m in model.modalities:
        x = weights.get(f"feature_tables.{m}", data.features[m])
        content = x @ weights[f"projections.{m}.weight"].t()
        start = torch.cat([pairs @ content / pairs.sum(dim=1, keepdim=True), content])
        final = final + unit(adjacency @ adjacency @ start)
        logits = x @ weights[f"hyperedges.{m}.weight"].t()
        held, by_users = (logits / 0.5).softmax(dim=1), (pairs @ logits / 0.5).softmax(dim=1)
        items = behaviour[NUM_USERS:]
        for _ in range(steps):
            edges = held.t() @ items
            items = held @ edges
        views.append((by_users @ edges, items))
    total = sum((torch.cat(view) for view in views), torch.zeros(()))
    return final + 0.7 * unit(total), views


def contrast(views: Tensor, anchors: Tensor, rows: Tensor) -> Tensor:
    weights = (unit(views)[rows] @ unit(anchors).t() / 0.4).exp()
    return -(weights[torch.arange(len(rows)), rows] / weights.sum(dim=1)).log().mean()


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("train_features", [True, False])
@pytest.mark.parametrize("modalities", SETS, ids="+".join)
def test_everything_matches_the_dense_reference(
    modalities: tuple[str, ...], train_features: bool, steps: int
) -> None:
    data, batch = data_with_audio(), dense.batch_of(data_with_audio())
    options = {"alpha": 0.7, "relaxation": 0.5, "temperature": 0.4, "cl_weight": 0.6, "norm_weight": 0.3}
    model = build(
        data,
        modalities=modalities,
        train_features=train_features,
        hyper_layers=steps,
        hyperedges=3,
        **options,
    ).eval()
    final, views = reference(model, data, steps)
    users, items = final.split([NUM_USERS, NUM_ITEMS])
    torch.testing.assert_close(model.embeddings(), (users, items), rtol=0, atol=1e-5)

    expected = {
        "ranking": dense.bpr(users, items, batch),
        "regulariser": 0.3 * dense.norms(users, items, batch),
    }
    for (m, a), (n, b) in combinations(zip(modalities, views, strict=True), 2):
        both = contrast(a[0], b[0], batch.users) + contrast(a[1], b[1], batch.positives)
        expected[f"contrastive.{m}.{n}"] = 0.6 * both
    dense.check_terms(model, model.loss(batch), expected)


@pytest.mark.parametrize("noise", ["gumbel", "logistic"])
def test_noise_is_drawn_in_training_only_and_from_the_global_generator(noise: str) -> None:
    model = build(tiny_data(), noise=noise, dropout=0.0)

    def drawn(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return model.embeddings()[0]

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    model.eval()
    assert torch.equal(drawn(1), drawn(2))


def test_gumbel_noise_draws_columns_by_their_share() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([0.6, 0.3, 0.1]).log().expand(20_000, 3)
    drawn = relaxed(logits, 0.01, "gumbel").mean(dim=0)
    torch.testing.assert_close(drawn, torch.tensor([0.6, 0.3, 0.1]), rtol=0, atol=0.02)
    even = relaxed(torch.zeros(20_000, 3), 0.01, "logistic").mean(dim=0)
    torch.testing.assert_close(even, torch.full((3,), 1 / 3), rtol=0, atol=0.02)
    assert torch.equal(relaxed(logits, 0.5, None)[0], (logits[0] / 0.5).softmax(dim=0))


def test_the_row_of_a_withdrawn_item_reaches_nobody_through_the_hyperedges() -> None:
    data = tiny_data()
    gone = torch.tensor([4])
    kept = data.train[:, data.train[1] != 4]
    model = build(replace(data, train=kept, withdrawn_items=gone)).eval()
    batch = dense.batch_of(replace(data, train=kept))
    batch = batch._replace(negatives=torch.where(batch.negatives == 4, 5, batch.negatives))
    before, loss = model.embeddings(), model.loss(batch)
    with torch.no_grad():
        model.item_embedding[4] += 1.0
    after = model.embeddings()
    others = torch.arange(NUM_ITEMS) != 4
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1][others], after[1][others])
    assert torch.equal(loss.total, model.loss(batch).total)


def test_a_contrast_with_all_rows_has_the_plain_formulas_value_and_gradients() -> None:
    torch.manual_seed(0)
    queries, keys = torch.randn(70, 5, requires_grad=True), torch.randn(33, 5, requires_grad=True)
    plain = (queries @ keys.t()).logsumexp(dim=1).mean()
    torch.testing.assert_close(log_partition(queries, keys), plain)
    torch.testing.assert_close(
        torch.autograd.grad(log_partition(queries, keys), (queries, keys)),
        torch.autograd.grad(plain, (queries, keys)),
    )
    small = (torch.randn(3, 2, dtype=torch.double), torch.randn(4, 2, dtype=torch.double))
    assert torch.autograd.gradgradcheck(log_partition, tuple(x.requires_grad_() for x in small))


def test_branches_and_fusion_weights() -> None:
    model = build(data_with_audio(), hyperedges=3)
    assert list(model.modules_by_branch()) == ["id", "audio", "image", "text"]
    assert list(model.modules_by_branch()["text"]) == ["projections.text", "hyperedges.text"]
    shapes = [tuple(p.shape) for p in model.fusion_parameters()]
    assert shapes == [(8, 5), (8, 8), (8, 6), (3, 5), (3, 8), (3, 6)]


def test_without_weight_or_with_one_modality_there_is_no_contrast() -> None:
    batch = dense.batch_of(tiny_data())
    assert build(tiny_data(), cl_weight=0.0).loss(batch).auxiliary == {}
    assert build(tiny_data(), modalities=("text",)).loss(batch).auxiliary == {}


def test_a_graph_without_features_is_refused_or_gets_a_free_table() -> None:
    with pytest.raises(InputError, match=r"backbone\.featureless=error and modality text"):
        build(graph_only_data())
    assert list(build(graph_only_data(), featureless="free_table").feature_tables) == ["text"]

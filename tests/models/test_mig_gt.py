"""MIG-GT against its equations, with any set of modalities, and what is random in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from datasets.interactions import InteractionData
from models.diffusion import diffusion_graph, drop_edges
from models.mig_gt import MIGGT, MIGGTOptions
from models.perceptron import Perceptron
from tests.models import dense
from tests.models.content import SETS, data_with_audio, graph_only_data
from tests.models.starts import check_uniform
from tests.tiny import tiny_data

STILL = {f"{part}_dropout": 0.0 for part in ("input", "feature", "user", "item", "edge", "output")}
"""No dropout."""


def build(data: InteractionData, **options: object) -> MIGGT:
    torch.manual_seed(0)
    return MIGGT(data, MIGGTOptions(embedding_dim=8, hidden_dim=12, samples=5, **options))  # type: ignore[arg-type]


def dense_diffusion(data: InteractionData, start: Tensor, hops: int) -> Tensor:
    """Closed form of the recursion with alpha .3 and beta .6."""
    nodes = data.num_users + data.num_items
    adjacency = torch.eye(nodes)
    adjacency[data.train[0], data.train[1] + data.num_users] = 1
    adjacency[data.train[1] + data.num_users, data.train[0]] = 1
    degree = adjacency.sum(dim=1)
    operator = adjacency / (degree[:, None] * degree).sqrt()
    powers = [0.6**k * torch.linalg.matrix_power(operator, k) @ start for k in range(hops + 1)]
    norm = 0.6**hops + 0.3 * sum(0.6**k for k in range(hops))
    return (powers[-1] + 0.3 * sum(powers[:-1], torch.zeros_like(start))) / norm


def perceptron(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    for layer in ("first", "second"):
        x = x @ weights[f"{layer}.linear.weight"].t()
        x = (x - x.mean(dim=0)) / (x.var(dim=0, unbiased=False) + 1e-5).sqrt()
        x = x * weights[f"{layer}.scale"] + weights[f"{layer}.shift"]
        x = torch.where(x > 0, x, weights[f"{layer}.slope"] * x)
    return x


def reference_z(model: MIGGT, data: InteractionData) -> Tensor:
    """Sum of the branches: [nodes, d]."""
    users = model.user_embedding
    z = dense_diffusion(data, torch.cat([users, users.new_zeros(data.num_items, 8)]), 4)
    for m in model.modalities:
        weights = dict(model.encoders[m].named_parameters())
        content = perceptron(weights, data.features[m])
        hops = {"image": 1, "text": 2, "audio": 3}[m]
        z = z + dense_diffusion(data, torch.cat([torch.zeros_like(users), content]), hops)
    return z


def reference_tokens(model: MIGGT, z: Tensor, sampled: Tensor) -> Tensor:
    """All outputs of the attention of every node: [nodes, S + 1, d], node by node."""
    outputs = []
    for node in range(len(z)):
        tokens = z[[node, *sampled[node].tolist()]]
        queries = tokens @ model.attention.queries.weight.t() + model.attention.queries.bias
        shares = (queries @ (tokens @ model.attention.keys.weight.t()).t() / 4**0.5).softmax(dim=1)
        outputs.append(0.7 * tokens + 0.3 * shares @ tokens)
    return torch.stack(outputs)


@pytest.mark.parametrize("modalities", SETS, ids="+".join)
def test_everything_matches_the_dense_reference(modalities: tuple[str, ...]) -> None:
    data, batch = data_with_audio(), dense.batch_of(data_with_audio())
    options = {"residual": 0.7, "alpha": 0.3, "beta": 0.6, "other_hops": 3, "unsmooth_weight": 0.5, "l2": 0.2}
    model = build(data, modalities=modalities, **options, **STILL).eval()
    data = model._projected(data)
    z, sampled = reference_z(model, data), model._sample(data.num_users + data.num_items)
    tokens = reference_tokens(model, z, sampled)
    users, items = tokens[:, 0].split([data.num_users, data.num_items])
    torch.testing.assert_close(model.embeddings(), (users, items), rtol=0, atol=1e-5)

    logits = torch.einsum("bd,btd->bt", users[batch.users], tokens[batch.positives + data.num_users])
    expected = {
        "ranking": dense.bpr(users, items, batch),
        "regulariser": 0.2 * tokens[:, 0].pow(2).sum() / 2 / len(batch.users),
        "unsmooth": -0.5 * logits.softmax(dim=1)[:, 0].log().mean(),
    }
    terms = model.loss(batch)
    got = {"ranking": terms.ranking, "regulariser": terms.regulariser, **terms.auxiliary}
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)

    parameters = list(model.parameters())
    gradients = torch.autograd.grad(terms.total, parameters, create_graph=True)
    reference = torch.autograd.grad(sum(expected.values()), parameters, create_graph=True)
    torch.testing.assert_close(gradients, reference, rtol=1e-3, atol=2e-5)
    slopes = [sum((g.square().sum() for g in side), torch.zeros(())) for side in (gradients, reference)]
    second, expected_second = (torch.autograd.grad(slope, parameters) for slope in slopes)
    torch.testing.assert_close(second, expected_second, rtol=1e-2, atol=1e-3)


def test_training_samples_anew_and_evaluation_does_not() -> None:
    model = build(tiny_data(), **STILL)
    first, second = model.train().embeddings()[0], model.embeddings()[0]
    assert not torch.equal(first, second)
    assert torch.equal(model.eval().embeddings()[0], model.embeddings()[0])
    other = build(tiny_data(), evaluation_seed=1, **STILL).eval()
    assert not torch.equal(model.embeddings()[0], other.embeddings()[0])


def test_evaluation_leaves_the_random_state_alone() -> None:
    model = build(tiny_data()).eval()
    before = torch.get_rng_state()
    model.embeddings()
    assert torch.equal(torch.get_rng_state(), before)


def test_withdrawn_items_are_never_sampled() -> None:
    data = replace(tiny_data(), withdrawn_items=torch.tensor([0, 4]))
    model = build(data).train()
    sampled = model._sample(500)
    assert set(sampled.unique().tolist()) == {data.num_users + i for i in range(data.num_items)} - {
        data.num_users,
        data.num_users + 4,
    }


def test_a_wide_image_is_projected_to_the_width_of_the_text() -> None:
    data = tiny_data()
    tables = build(data).feature_tables
    assert (tables.widths["image"], tables.widths["text"]) == (6, 6)
    assert torch.equal(tables.rows("text"), data.features["text"])
    assert torch.equal(tables.rows("image"), build(data).feature_tables.rows("image"))
    assert not torch.equal(tables.rows("image"), build(data, projection_seed=1).feature_tables.rows("image"))
    assert build(data, modalities=("image",)).feature_tables.widths == {"image": 8}


def test_rows_of_a_projected_image_are_scaled_to_unit_length() -> None:
    data = tiny_data()
    raw = build(data, unit_projection=False).feature_tables.rows("image")
    unit = build(data).feature_tables.rows("image")
    assert raw.norm(dim=1).std() > 0.1
    torch.testing.assert_close(unit, raw / raw.pow(2).sum(dim=1, keepdim=True).sqrt())


def test_features_that_are_not_projected_keep_their_length() -> None:
    data = tiny_data()
    narrow = replace(data, features={**data.features, "image": data.features["image"][:, :6]})
    for given in (narrow, replace(data, features={"image": data.features["image"]})):
        assert torch.equal(build(given).feature_tables.rows("image"), given.features["image"])
    assert torch.equal(build(data).feature_tables.rows("text"), data.features["text"])


def test_a_withdrawn_items_projected_image_is_zero() -> None:
    data = replace(tiny_data(), withdrawn_items=torch.tensor([4]))
    rows = build(data).feature_tables.rows("image")
    assert rows.isfinite().all()
    assert rows.any(dim=1).logical_not().nonzero().squeeze(1).tolist() == [4]


def test_attention_and_perceptrons_start_xavier_uniform() -> None:
    torch.manual_seed(0)
    data = tiny_data()
    model = MIGGT(data, MIGGTOptions(embedding_dim=64, hidden_dim=96, attention_dim=4))
    for layer in (model.attention.queries, model.attention.keys):
        check_uniform(layer.weight.detach(), (6 / 68) ** 0.5, rel=0.1)
    assert not model.attention.queries.bias.any()
    for encoder in model.encoders.values():
        assert isinstance(encoder, Perceptron)
        check_uniform(encoder.first.linear.weight.detach(), (6 / (6 + 96)) ** 0.5, rel=0.1)
        check_uniform(encoder.second.linear.weight.detach(), (6 / (96 + 64)) ** 0.5)


def test_dropped_edges_scale_the_rest() -> None:
    data = tiny_data()
    graph = diffusion_graph(data.train, data.num_users, data.num_items)
    torch.manual_seed(0)
    dropped = drop_edges(graph, 0.4)
    kept = dropped.weights > 0
    torch.testing.assert_close(dropped.weights[kept], graph.operator.weights[kept] / 0.6)
    assert 0.5 < kept.float().mean() < 0.7
    assert dropped.matrix is not None
    assert dropped.transposed is not None
    matrix = torch.zeros(dropped.shape).index_put((dropped.edges[1], dropped.edges[0]), dropped.weights)
    assert torch.equal(dropped.matrix.to_dense(), matrix)
    assert torch.equal(dropped.transposed.to_dense(), matrix.t())


def test_forgotten_users_are_redrawn_as_they_started() -> None:
    model = build(replace(tiny_data(), num_users=4000))
    ids = torch.arange(3000)
    with torch.no_grad():
        model.user_embedding.zero_()
    model.reinitialise_rows("user", ids, torch.Generator().manual_seed(0))
    assert model.user_embedding[:3000].std().item() == pytest.approx(8**-0.5, rel=0.05)
    assert not model.user_embedding[3000:].any()
    model.reinitialise_rows("item", ids, torch.Generator().manual_seed(0))


def test_branches_and_fusion_weights() -> None:
    model = build(data_with_audio())
    assert list(model.modules_by_branch()) == ["id", "audio", "image", "text", "shared"]
    assert list(model.branch_embeddings()) == ["id", "audio", "image", "text"]
    assert [tuple(p.shape) for p in model.fusion_parameters()][-2:] == [(4, 8), (4, 8)]
    assert len(model.fusion_parameters()) == 2 * 3 + 2


def test_a_modality_without_features_can_have_a_free_table() -> None:
    model = build(graph_only_data(), featureless="free_table")
    assert "feature_tables.text" in model.modules_by_branch()["text"]

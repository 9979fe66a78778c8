"""MMGCN against its equations, with any set of modalities, and what requests leave of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.requests import DeletionRequest
from models.mmgcn import MMGCN, MMGCNOptions
from tests.models import dense
from tests.models.content import SETS, data_with_audio, graph_only_data
from tests.models.starts import check_normal, check_uniform
from tests.tiny import tiny_data

NONE = torch.empty(0, dtype=torch.long)


def build(data: InteractionData, **options: object) -> MMGCN:
    torch.manual_seed(0)
    return MMGCN(data, MMGCNOptions(embedding_dim=8, **options))  # type: ignore[arg-type]


def reference_view(model: MMGCN, data: InteractionData, m: str) -> Tensor:
    """One modality, node by node, from the paper's equations: [nodes, d]."""
    weights, options = dict(model.named_parameters()), model.options
    ids = torch.cat([weights["user_embedding"], weights["item_embedding"]])
    content = data.features[m] @ weights[f"projections.{m}.weight"].t() + weights[f"projections.{m}.bias"]
    state = torch.cat([weights[f"preferences.{m}"], content])
    if options.unit_start:
        state = state / state.norm(dim=1, keepdim=True)
    met: list[list[int]] = [[] for _ in state]
    for user, item in data.train.t().tolist():
        met[user].append(item + data.num_users)
        met[item + data.num_users].append(user)

    def leaky(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, options.negative_slope * x)

    for layer in range(options.layers):
        first, second, third = (
            weights[f"convolutions.{m}.{layer}.{part}.weight"] for part in ("neighbours", "own", "joint")
        )
        nodes = []
        for node, neighbours in enumerate(met):
            messages = [first @ state[other] for other in neighbours]
            around = leaky(sum(messages, torch.zeros(8)) / max(len(messages), 1))
            own = leaky(second @ state[node]) + ids[node]
            if options.combination == "concatenation":
                nodes.append(leaky(third @ torch.cat([around, own])))
            else:
                nodes.append(leaky(third @ around + own))
        state = torch.stack(nodes)
    return state


@pytest.mark.parametrize(
    ("modalities", "options"),
    [
        (SETS[0], {"layers": 1}),
        (SETS[1], {"layers": 3, "combination": "addition", "negative_slope": 0.2, "fusion": "sum"}),
        (SETS[2], {"layers": 2, "unit_start": False}),
    ],
    ids=["image", "image+text", "audio+image+text"],
)
def test_everything_matches_the_reference(modalities: tuple[str, ...], options: dict[str, object]) -> None:
    data, batch = data_with_audio(), dense.batch_of(data_with_audio())
    model = build(data, modalities=modalities, l2=0.3, **options)
    views = {m: reference_view(model, data, m) for m in modalities}
    for m, view in views.items():
        torch.testing.assert_close(torch.cat(model.branch_embeddings()[m]), view, rtol=0, atol=1e-5)
    shares = 1 if options.get("fusion") == "sum" else len(views)
    final = sum(views.values(), torch.zeros(data.num_users + data.num_items, 8)) / shares
    users, items = final.split([data.num_users, data.num_items])
    torch.testing.assert_close(model.embeddings(), (users, items), rtol=0, atol=1e-5)

    starts = [model.user_embedding[batch.users], *(model.preferences[m][batch.users] for m in modalities)]
    starts += [model.item_embedding[items] for items in (batch.positives, batch.negatives)]
    expected = {
        "ranking": dense.bpr(users, items, batch),
        "regulariser": 0.3 * torch.cat(starts).pow(2).sum() / 2 / len(batch.users),
    }
    terms = model.loss(batch)
    got = {"ranking": terms.ranking, "regulariser": terms.regulariser, **terms.auxiliary}
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)
    check_derivatives(terms.total, torch.stack(list(expected.values())).sum(), list(model.parameters()))


def check_derivatives(total: Tensor, expected: Tensor, parameters: list[torch.nn.Parameter]) -> None:
    """First derivatives are equal, and so are those of their squared norm (kinks forbid differences)."""
    got, reference = (
        torch.autograd.grad(value, parameters, create_graph=True) for value in (total, expected)
    )
    torch.testing.assert_close(got, reference, rtol=1e-4, atol=1e-6)
    slopes = [torch.stack([g.square().sum() for g in side]).sum() for side in (got, reference)]
    second, expected_second = (torch.autograd.grad(slope, parameters) for slope in slopes)
    torch.testing.assert_close(second, expected_second, rtol=1e-3, atol=1e-5)


def test_a_withdrawn_item_keeps_only_its_id_row_and_reaches_nothing() -> None:
    data = tiny_data()
    request = DeletionRequest("item", NONE, torch.tensor([4]), data.train[:, data.train[1] == 4])
    model = build(data)
    model.bind(request.apply(data))
    before = torch.cat(model.embeddings())
    with torch.no_grad():
        model.item_embedding[4] += 1.0
    changed = (torch.cat(model.embeddings()) != before).any(dim=1)
    assert changed.nonzero().squeeze(1).tolist() == [data.num_users + 4]
    with torch.no_grad():
        model.item_embedding[4] = 0.0
    assert not model.embeddings()[1][4].any()


def test_a_cold_user_still_has_its_own_state() -> None:
    data = tiny_data()
    model = build(replace(data, train=data.train[:, data.train[0] != 5]))
    users, _ = model.embeddings()
    assert users.isfinite().all()
    assert users[5].any()


def test_forgotten_users_start_afresh_in_every_modality() -> None:
    model = build(replace(tiny_data(), num_users=1500, num_items=900))
    tables = [model.user_embedding, *model.preferences.values()]
    with torch.no_grad():
        for table in (*tables, model.item_embedding):
            table.zero_()
    model.reinitialise_rows("user", torch.arange(1000), torch.Generator().manual_seed(0))
    for table, rows in zip(tables, (2400, 1500, 1500), strict=True):
        check_normal(table[:1000].detach(), (2 / (rows + 8)) ** 0.5)
        assert not table[1000:].any()
    assert not torch.equal(tables[1], tables[2])
    assert not model.item_embedding.any()
    model.reinitialise_rows("item", torch.tensor([2]), torch.Generator().manual_seed(0))
    assert model.item_embedding.any(dim=1).nonzero().squeeze(1).tolist() == [2]


def test_tables_start_xavier_normal_and_the_ids_as_one_table() -> None:
    model = build(replace(tiny_data(), num_users=1500, num_items=900))
    for table in (model.user_embedding, model.item_embedding):
        check_normal(table.detach(), (2 / (1500 + 900 + 8)) ** 0.5)
    for table in model.preferences.values():
        check_normal(table.detach(), (2 / (1500 + 8)) ** 0.5)


def test_layers_start_xavier_normal_but_for_the_later_joints() -> None:
    torch.manual_seed(0)
    model = MMGCN(tiny_data(), MMGCNOptions(embedding_dim=64, layers=3))
    for layers in model.convolutions.values():
        assert isinstance(layers, torch.nn.ModuleList)
        for depth, layer in enumerate(layers):
            for linear in (layer.neighbours, layer.own):
                check_normal(linear.weight.detach(), (2 / 128) ** 0.5)
            if depth == 0:
                check_normal(layer.joint.weight.detach(), (2 / 192) ** 0.5)
            else:
                check_uniform(layer.joint.weight.detach(), 128**-0.5)


def test_branches_and_fusion_weights() -> None:
    model = build(data_with_audio(), layers=2)
    branches = model.modules_by_branch()
    assert list(branches) == ["id", "audio", "image", "text"]
    assert list(branches["image"])[:3] == [
        "projections.image",
        "preferences.image",
        "convolutions.image.0.neighbours",
    ]
    assert len(branches["image"]) == 2 + 2 * 3
    shapes = [tuple(p.shape) for p in model.fusion_parameters()]
    assert shapes == [(8, 5), (8, 8), (8, 6)] + 6 * [(8, 16)]


def test_a_modality_without_features_is_refused_or_gets_a_free_table() -> None:
    with pytest.raises(InputError, match="text has an item graph but no features: supply the features"):
        build(graph_only_data())
    model = build(graph_only_data(), featureless="free_table")
    assert list(model.feature_tables) == ["text"]
    assert "feature_tables.text" in model.modules_by_branch()["text"]

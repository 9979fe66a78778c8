"""SLMRec against its equations, with any set of modalities, and its tasks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.slmrec import SLMRec, SLMRecOptions
from tests.models import dense
from tests.models.content import SETS, data_with_audio, graph_only_data
from tests.tiny import NUM_USERS, tiny_data

CHAINS = {1: ["image"], 2: ["image", "text"], 3: ["image", "audio", "text"]}


def build(data: InteractionData, **options: object) -> SLMRec:
    torch.manual_seed(0)
    return SLMRec(data, SLMRecOptions(embedding_dim=8, **options))  # type: ignore[arg-type]


class Reference:
    """Dense, from the module docstring."""

    def __init__(self, model: SLMRec, data: InteractionData) -> None:
        self.model, self.data = model, data
        self.weights = dict(model.named_parameters())
        self.adjacency = dense.dense_adjacency(data)

    def linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self.weights[f"{name}.weight"].t() + self.weights[f"{name}.bias"]

    def views(self, masked: str = "") -> dict[str, Tensor]:
        inputs = {"id": self.weights["item_embedding"]}
        for m in self.model.modalities:
            raw = self.data.features[m]
            raw = self.weights.get(f"feature_tables.{m}", raw / raw.norm(dim=1, keepdim=True))
            inputs[m] = self.linear(f"projections.{m}", raw)
        starts = {
            b: torch.cat([self.weights["user_embedding"], x * (b != masked)]) for b, x in inputs.items()
        }
        return {b: dense.layer_mean(self.adjacency, x, 3) for b, x in starts.items()}

    def final(self, views: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        parts = list(views.values())
        concat = self.model.options.fusion == "concat"
        joint = torch.cat(parts, dim=1) if concat else sum(parts, torch.zeros(())) / len(parts)
        users, items = joint[:NUM_USERS], joint[NUM_USERS:]
        return self.linear("user_fusion", users), self.linear("item_fusion", items)

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        users, items = self.final(self.views())
        squares = sum((p.pow(2).sum() for p in self.weights.values()), torch.zeros(()))
        ranking = dense.info_nce(users[batch.users], items[batch.positives], 0.2)
        return {"ranking": ranking, "regulariser": 0.3 * squares / 2}


@pytest.mark.parametrize("train_features", [True, False])
@pytest.mark.parametrize("fusion", ["concat", "mean"])
@pytest.mark.parametrize("modalities", SETS, ids="+".join)
def test_everything_matches_the_dense_reference(
    modalities: tuple[str, ...], fusion: str, train_features: bool
) -> None:
    data, batch = data_with_audio(), dense.batch_of(data_with_audio())
    options = {"fusion": fusion, "train_features": train_features, "l2": 0.3, "ssl_weight": 0.5}
    model = build(data, modalities=modalities, ssl_temperature=0.4, **options)
    reference = Reference(model, data)
    views = reference.views()
    torch.testing.assert_close(model.embeddings(), reference.final(views), rtol=0, atol=1e-5)

    expected = reference.terms(batch)
    nodes = batch.positives + NUM_USERS
    joint = views["id"][nodes]
    for m in CHAINS[len(modalities)]:
        joint = reference.linear(f"joint_alignment.{m}", joint)
        own = reference.linear(f"own_alignment.{m}", views[m][nodes])
        shares = (joint @ own.t() / 0.4).softmax(dim=1)
        expected[f"alignment.{m}"] = -0.5 * shares.diagonal().log().mean()
    dense.check_terms(model, model.loss(batch), expected)


def test_masked_views_match_the_dense_reference() -> None:
    data, batch = tiny_data(), dense.batch_of(tiny_data())
    model = build(data, task="fm", ssl_weight=0.5, ssl_temperature=0.4, l2=0.3).eval()
    reference = Reference(model, data)
    expected = reference.terms(batch)
    first, second = (reference.final(reference.views(masked)) for masked in ("id", "image"))
    contrasts = [
        dense.info_nce(a[rows], b[rows], 0.4)
        for a, b, rows in zip(first, second, (batch.users, batch.positives), strict=True)
    ]
    expected["contrastive"] = 0.5 * (contrasts[0] + contrasts[1])
    dense.check_terms(model, model.loss(batch), expected)


@pytest.mark.parametrize("task", ["fd", "fm", "fd_fm"])
def test_augmentations_are_drawn_in_training_only_and_from_the_global_generator(task: str) -> None:
    batch, model = dense.batch_of(tiny_data()), build(tiny_data(), task=task)

    def contrast(seed: int) -> float:
        torch.manual_seed(seed)
        return float(model.loss(batch).auxiliary["contrastive"].detach())

    assert contrast(1) == contrast(1)
    assert len({contrast(seed) for seed in range(8)}) > 1
    model.eval()
    assert len({contrast(seed) for seed in range(8)}) == 1


def test_without_dropout_both_views_of_feature_dropout_are_the_final_embeddings() -> None:
    data, batch = tiny_data(), dense.batch_of(tiny_data())
    model = build(data, task="fd", ssl_weight=0.5, ssl_temperature=0.4).eval()
    users, items = model.embeddings()
    rows = users[batch.users], items[batch.positives]
    expected = 0.5 * sum(dense.info_nce(x, x, 0.4) for x in rows)
    torch.testing.assert_close(model.loss(batch).auxiliary["contrastive"], expected)


@pytest.mark.parametrize("task", ["fd", "fm", "fd_fm"])
def test_only_the_alignment_task_has_layers_of_its_own(task: str) -> None:
    model = build(tiny_data(), task=task)
    assert not [name for name, _ in model.named_parameters() if "alignment" in name]
    model.loss(dense.batch_of(tiny_data())).total.backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
    assert list(model.modules_by_branch()["shared"]) == ["user_fusion", "item_fusion"]


def test_negatives_are_not_looked_at() -> None:
    batch, model = dense.batch_of(tiny_data()), build(tiny_data())
    other = Batch(batch.users, batch.positives, batch.negatives.flip(0))
    assert torch.equal(model.loss(batch).total, model.loss(other).total)


def test_without_weight_there_is_no_task() -> None:
    model = build(tiny_data(), ssl_weight=0.0)
    assert model.loss(dense.batch_of(tiny_data())).auxiliary == {}
    assert list(model.modules_by_branch()["shared"]) == ["user_fusion", "item_fusion"]


def test_branches_and_fusion_weights() -> None:
    model = build(data_with_audio())
    branches = model.modules_by_branch()
    assert list(branches) == ["id", "audio", "image", "text", "shared"]
    assert list(branches["image"]) == ["projections.image", "own_alignment.image"]
    assert len(model.fusion_parameters()) == 3 + 2 + 6
    assert model.joint_alignment["text"].weight.shape == (4, 4)
    assert model.joint_alignment["audio"].weight.shape == (4, 8)


def test_a_graph_without_features_is_refused_or_gets_a_free_table() -> None:
    with pytest.raises(InputError, match=r"backbone\.featureless=error and modality text"):
        build(graph_only_data())
    assert list(build(graph_only_data(), featureless="free_table").feature_tables) == ["text"]

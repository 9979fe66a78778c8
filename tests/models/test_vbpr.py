"""VBPR against its equations, with any set of modalities."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.vbpr import VBPR, VBPROptions
from tests.models import dense
from tests.models.content import SETS, data_with_audio
from tests.models.starts import check_normal, check_uniform


@pytest.mark.parametrize("train_features", [True, False])
@pytest.mark.parametrize("modalities", SETS, ids="+".join)
def test_everything_matches_the_dense_reference(modalities: tuple[str, ...], train_features: bool) -> None:
    data, batch = data_with_audio(), dense.batch_of(data_with_audio())
    torch.manual_seed(0)
    model = VBPR(
        data,
        VBPROptions(embedding_dim=8, norm_weight=0.3, modalities=modalities, train_features=train_features),
    )
    weights = dict(model.named_parameters())
    features = torch.cat([weights.get(f"feature_tables.{m}", data.features[m]) for m in modalities], dim=1)
    projection = torch.cat([weights[f"projections.{m}.weight"] for m in modalities], dim=1)
    users, items = model.user_embedding, torch.cat([model.item_embedding, features @ projection.t()], dim=1)
    torch.testing.assert_close(model.embeddings(), (users, items), rtol=0, atol=1e-5)

    terms = model.loss(batch)
    ranking, regulariser = dense.bpr(users, items, batch), 0.3 * dense.norms(users, items, batch)
    dense.check_terms(model, terms, {"ranking": ranking, "regulariser": regulariser})


def test_projections_start_as_one_matrix_over_the_concatenated_features() -> None:
    """The widths differ (5, 8 and 6 columns), one deviation holds for all: that of a matrix of 8 + 19."""
    torch.manual_seed(0)
    weights = []
    for _ in range(40):
        model = VBPR(data_with_audio(), VBPROptions(embedding_dim=8))
        weights.append([model.projections[m].weight.detach() for m in ("audio", "image", "text")])
    for drawn in zip(*weights, strict=True):
        check_normal(torch.stack(drawn), (2 / (8 + 5 + 8 + 6)) ** 0.5)


def test_id_tables_start_uniform_each_over_its_own_width() -> None:
    torch.manual_seed(0)
    model = VBPR(replace(data_with_audio(), num_users=2000), VBPROptions(embedding_dim=8))
    check_uniform(model.user_embedding.detach(), (6 / (2000 + 16)) ** 0.5)


def test_the_content_projections_are_what_fuses() -> None:
    model = VBPR(data_with_audio(), VBPROptions(embedding_dim=8))
    assert [tuple(p.shape) for p in model.fusion_parameters()] == [(8, 5), (8, 8), (8, 6)]
    assert list(model.modules_by_branch()) == ["id", "audio", "image", "text"]

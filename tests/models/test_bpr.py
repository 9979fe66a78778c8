"""BPR against its equations."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.bpr import BPR, BPROptions
from tests.models import dense
from tests.models.starts import check_normal
from tests.tiny import tiny_data


@pytest.mark.parametrize(
    ("options", "norms", "squares"),
    [({}, 0.1, 0.0), ({"norm_weight": 0.7}, 0.7, 0.0), ({"norm_weight": 0.0, "l2": 0.3}, 0.0, 0.3)],
    ids=["default", "norms", "squares"],
)
def test_everything_matches_the_dense_reference(
    options: dict[str, float], norms: float, squares: float
) -> None:
    data = tiny_data()
    torch.manual_seed(0)
    model = BPR(data, BPROptions(embedding_dim=8, **options))  # type: ignore[arg-type]
    batch = dense.batch_of(data)
    tables = (model.user_embedding, model.item_embedding)
    torch.testing.assert_close(model.embeddings(), tables, rtol=0, atol=0)
    regulariser = norms * dense.norms(*tables, batch) + squares * dense.l2(*tables, batch)
    expected = {"ranking": dense.bpr(*tables, batch), "regulariser": regulariser}
    dense.check_terms(model, model.loss(batch), expected)


def test_tables_start_xavier_normal_and_so_do_forgotten_rows() -> None:
    torch.manual_seed(0)
    data = replace(tiny_data(), num_users=1500, num_items=900)
    model = BPR(data, BPROptions(embedding_dim=16))
    for side, table in model.id_tables().items():
        deviation = (2 / (len(table) + 16)) ** 0.5
        check_normal(table.detach(), deviation)
        with torch.no_grad():
            table.zero_()
        model.reinitialise_rows(side, torch.arange(800), torch.Generator().manual_seed(1))
        check_normal(table[:800].detach(), deviation)
        assert not table[800:].any()

"""Normal starts, of tables and of rows that are drawn afresh."""

from __future__ import annotations

import torch

from models.initialisation import normal_table, redraw_normal, xavier_deviation
from tests.models.starts import check_normal


def test_the_deviation_is_torchs() -> None:
    torch.manual_seed(0)
    drawn = torch.nn.init.xavier_normal_(torch.empty(300, 200))
    check_normal(drawn, xavier_deviation(300, 200), rel=0.02)


def test_a_table_is_normal_and_trained() -> None:
    torch.manual_seed(0)
    table = normal_table(400, 30, 0.2)
    assert table.requires_grad
    check_normal(table.detach(), 0.2)


def test_redrawn_rows_are_those_asked_for_and_come_from_the_generator() -> None:
    tables = [torch.nn.Parameter(torch.zeros(500, 20)) for _ in range(2)]
    ids = torch.arange(0, 500, 2)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    for table in tables:
        redraw_normal(table, ids, 0.3, torch.Generator().manual_seed(4))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(tables[0], tables[1])
    assert not tables[0][1::2].any()
    check_normal(tables[0][ids].detach(), 0.3)

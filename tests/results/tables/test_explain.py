"""Where a number of a paper's table comes from."""

from __future__ import annotations

import pytest

from results.__main__ import main as command
from tests.results.tables.table_one import ARGUMENTS


def test_explain(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["tru-table-1", "mgcn/synthetic/user/tru", "test recall@20", *ARGUMENTS, "--uri", uri]
    assert command(["explain", *place]) == 0
    text = capsys.readouterr().out
    for part in (
        "measured: 0.375000 over 1 request x 3 seeds, ± 0.010000 over seeds within a request",
        "request 0, seed 2: 0.385000",
        "in standard deviations of gold over seeds: 0.32 of 0.015811",
        "against retrain:",
        "device test device",
        "code 0000",
        "method.gate=True",
    ):
        assert part in text
    assert command(["explain", "tru-table-1", "mgcn/baby/user/tru", "forget/recall_at_20", "--uri", uri]) == 0
    text = capsys.readouterr().out
    assert "published: 0.0000" in text
    assert "arXiv:2604.02183 v1, Table 1" in text
    assert "note B2.1" in text


@pytest.mark.parametrize(
    ("row", "column", "complaint"),
    [("mgcn/nosuch/user/tru", "x", "row=mgcn/nosuch"), ("mgcn/baby/user/tru", "nosuch", "column=nosuch")],
)
def test_explain_names_what_it_does_not_find(
    row: str, column: str, complaint: str, uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["explain", "tru-table-1", row, column, "--uri", uri]) == 2
    assert complaint in capsys.readouterr().err

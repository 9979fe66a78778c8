"""The table of streams: latency as it was recorded, and when retraining would have been cheaper."""

from __future__ import annotations

import pytest

from results.runs.groups import Group
from results.tables.stream_table import break_even, stream_table
from results.tables.text_table import Text
from tests.results.made import SEEDS, cell, rows

STREAM = {"stream.name": "users", "stream.seed": "0"}
FIGURES = {"time__gold_train_seconds_to_best": 90.0, "stream__latency_mean": 6.0, "stream__latency_p95": 9.0}


def served() -> list[Group]:
    more = [
        cell(method, seed, regime="user+users", params=STREAM, **FIGURES)
        for method in ("retrain", "tru")
        for seed in SEEDS
    ]
    return rows(more)


def test_one_shot_rows_are_not_in_it_and_streams_are_no_part_of_theirs() -> None:
    groups = served()
    table = stream_table(groups)
    assert [labels[:4] for labels, _ in table.rows] == [
        ("Baby", "MGCN", "user+users", "Retrain (gold)"),
        ("Baby", "MGCN", "user+users", "TRU"),
    ]
    one_shot = next(g for g in groups if g.setting == ("baby", "mgcn", "user") and g.method == "tru")
    assert not any(run.params.get("stream.name") for run in one_shot.runs)


def test_latency_and_break_even() -> None:
    table = stream_table(served())
    titles = [title for _, title in table.header]
    tru = table.rows[1][1]
    assert tru[titles.index("p95")] == Text("9.000")
    assert tru[titles.index("break-even k")] == Text("15.0"), "90 s of retraining against 6 s per request"
    assert table.rows[0][1][-1] == Text("-")
    assert "late" not in titles, "no row has it"


def test_break_even_is_unknown_without_seconds() -> None:
    group = next(g for g in rows() if g.method == "tru")
    assert break_even(group, [group]) is None
    assert break_even(served()[-1], served()) == pytest.approx(15.0)

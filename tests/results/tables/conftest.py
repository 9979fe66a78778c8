"""The store of the small Table 1, made once."""

from __future__ import annotations

from functools import cache

import pytest

from bench.record.names import FORGET_RECALL, TEST_RECALL
from results.names.headlines import GOLD
from results.runs.frame import per_user, runs
from results.tables.layout import layout
from results.tables.measured import MeasuredTable, measure
from results.tables.ranking import rank
from tests.results.store import record, store, table_cell
from tests.results.tables.table_one import FORGET, SCOPE, STEP, TEST


@pytest.fixture(scope="session")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The user regime of Table 1 on three seeds, one cell of which failed; an ablation that is not in it; and
    two more gold models."""
    place = store(f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db")
    for method in TEST:
        for seed in (0, 1, 2):
            metrics = {TEST_RECALL: TEST[method] + STEP[method] * seed, FORGET_RECALL: FORGET[method]}
            failed = "it broke" if (method, seed) == ("mmrecun", 2) else ""
            record(place, table_cell(seed, method), metrics, fail=failed)
    for seed in (3, 4):
        metrics = {TEST_RECALL: TEST[GOLD] + STEP[GOLD] * seed, FORGET_RECALL: FORGET[GOLD]}
        record(place, table_cell(seed, GOLD), metrics)
    for seed in (0, 1, 2):
        metrics = {TEST_RECALL: 0.2, FORGET_RECALL: 0.3 + seed / 1000}
        record(place, table_cell(seed, "reset"), metrics)
    record(place, table_cell(0, "tru", "method.gate=false"), {TEST_RECALL: 0.99, FORGET_RECALL: 0.0})
    return place.uri


@pytest.fixture(scope="session")
def table(uri: str) -> MeasuredTable:
    arrays = cache(lambda run: per_user(uri, run))
    return rank(measure(layout("tru-table-1", SCOPE), runs(uri, "lethe"), arrays), arrays)

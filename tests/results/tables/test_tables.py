"""The paper's tables from a store with known content: numbers, gaps, marks, tests, what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.record.names import CODE_TAG, TEST_RECALL
from results.distance.significance import sign_of
from results.formats.markdown import to_markdown
from results.names.headlines import GOLD
from results.runs.at import At
from results.runs.frame import per_user, runs
from results.tables.layout import Scope, layout
from results.tables.measured import MeasuredTable, measure
from results.tables.missing import missing_cells, one_command
from results.tables.printed import text_table
from results.tables.ranking import rank
from tests.results.store import record, store, table_cell
from tests.results.tables.table_one import SCOPE, STEP, TEST, at


def test_mean_and_deviation_over_seeds(table: MeasuredTable) -> None:
    found = at(table, "tru", "test recall@20").summary
    assert found is not None
    assert (found.count, found.mean, found.deviation) == (3, pytest.approx(0.375), pytest.approx(0.01))


def test_gap_to_gold_is_to_every_gold_of_the_request_in_units_of_their_deviation(
    table: MeasuredTable,
) -> None:
    gap = at(table, "original", "test recall@20").gap
    assert gap is not None
    golds = [0.35 + 0.01 * seed for seed in range(5)]
    assert gap.value == pytest.approx(0.40 - np.mean(golds))
    assert gap.unit.golds == 5
    assert gap.units == pytest.approx(0.03 / np.std(golds, ddof=1))
    assert gap.estimate.over == ("seeds", "gold's seeds", "users")
    assert at(table, GOLD, "test recall@20").gap is None


def test_without_five_golds_there_is_no_unit(uri: str, tmp_path: Path) -> None:
    place = store(f"sqlite:///{tmp_path}/mlflow.db")
    for method in (GOLD, "tru"):
        for seed in (0, 1, 2):
            record(place, table_cell(seed, method), {TEST_RECALL: 0.3 + STEP[method] * seed})
    found = measure(layout("tru-table-1", SCOPE), runs(place.uri, "lethe"))
    gap = at(found, "tru", "test recall@20").gap
    assert gap is not None
    assert (gap.units, gap.unit.why) == (None, "3 of 5 golds")
    text = to_markdown(text_table(rank(found), []))
    assert "| +0.0000 (n/a) |" in text
    assert "n/a with fewer than 5 golds (here 3)" in text


def test_marks_are_among_methods_and_by_the_goal(table: MeasuredTable) -> None:
    test = {m: at(table, m, "test recall@20").mark for m in TEST}
    forget = {m: at(table, m, "forget recall@20").mark for m in TEST}
    assert test == {"original": "", "retrain": "", "tru": "best", "mmrecun": "second"}
    assert forget == {"original": "", "retrain": "", "mmrecun": "best", "tru": "second"}


def test_closeness_is_tested_against_reset_and_utility_against_gold(table: MeasuredTable) -> None:
    closer, utility = (
        at(table, "tru", "forget recall@20").comparison,
        at(table, "tru", "test recall@20").comparison,
    )
    assert closer is not None
    assert utility is not None
    assert (closer.reference, utility.reference) == ("reset", GOLD)
    assert closer.advantage.value == pytest.approx(abs(0.301 - 0.1) - abs(0.05 - 0.1))
    assert utility.advantage.value == pytest.approx(0.375 - 0.37)
    assert (sign_of(closer), sign_of(utility)) == ("(†)", ""), "with one request a test is conditional on it"
    assert at(table, "original", "forget recall@20").comparison is None
    assert at(table, GOLD, "test recall@20").comparison is None


def test_per_user_values_of_different_orders_are_joined_by_user(uri: str) -> None:
    first, second = [
        per_user(uri, run.run_id) for run in runs(uri, "lethe") if run.labels["method"] == "tru"
    ][:2]
    assert not np.array_equal(first["test/users"], second["test/users"])
    order = [np.argsort(arrays["test/users"]) for arrays in (first, second)]
    difference = second[TEST_RECALL][order[1]] - first[TEST_RECALL][order[0]]
    assert difference == pytest.approx(np.full(len(difference), 0.01), abs=1e-6)


def test_other_options_are_not_mixed_in_but_said(uri: str, table: MeasuredTable) -> None:
    assert len(at(table, "tru", "test recall@20").others) == 1
    ablation = measure(layout("tru-table-4", SCOPE), runs(uri, "lethe"))
    assert at(ablation, "tru_without_gate", "test recall@20").values == {At(0, 0): 0.99}


def test_what_is_missing_and_what_failed(table: MeasuredTable) -> None:
    every = (At(0, 0), At(0, 1), At(0, 2))
    assert at(table, "mmrecun", "test recall@20").lacking == every[2:]
    assert at(table, "mmrecun", "test recall@20").failed == {At(0, 2): "RuntimeError: it broke"}
    assert at(table, "tru", "test recall@20", "item").lacking == every
    assert at(table, "tru", "retain recall@20").lacking == every  # finished, but without the metric


def test_requests_that_are_asked_for_are_averaged_and_filled(uri: str, tmp_path: Path) -> None:
    place = store(f"sqlite:///{tmp_path}/mlflow.db")
    for request, seed in ((0, 0), (0, 1), (1, 0)):
        record(place, table_cell(seed, "tru", f"regime.seed={request}"), {TEST_RECALL: 0.3 + request / 10})
    scope = Scope(("synthetic",), ("mgcn",), (0, 1), (0, 1))
    found = measure(layout("tru-table-1", scope), runs(place.uri, "lethe"))
    own = at(found, "tru", "test recall@20")
    assert own.lacking == (At(1, 1),)
    assert own.summary is not None
    assert own.summary.mean == pytest.approx((0.3 + 0.3 + 0.4) / 3)
    text = to_markdown(text_table(rank(found), []))
    assert "mean over 2 requests x 2 seeds" in text
    assert "[3/4]" in text
    wanted = {"method": "tru", "regime": "user", "regime.seed": "1", "seed": "1"}
    assert any(wanted.items() <= cell.items() for cell in missing_cells([found]))
    assert "regime.seed=" in one_command(missing_cells([found]))
    only = measure(layout("tru-table-1", SCOPE), runs(place.uri, "lethe"))
    assert at(only, "tru", "test recall@20").values == {At(0, 0): 0.3, At(0, 1): 0.3}


def test_runs_of_other_code_are_left_out_and_said(tmp_path: Path) -> None:
    place = store(f"sqlite:///{tmp_path}/mlflow.db")
    record(place, table_cell(0, "tru"), {TEST_RECALL: 0.3})
    edited = record(place, table_cell(1, "tru"), {TEST_RECALL: 0.9}, tags={CODE_TAG + "method": "edited"})
    record(place, table_cell(2, "tru"), {TEST_RECALL: 0.3}, tags={CODE_TAG + "measure": "older"})
    found = rank(measure(layout("tru-table-1", SCOPE), runs(place.uri, "lethe")))
    own = at(found, "tru", "test recall@20")
    assert own.values == {At(0, 0): 0.3, At(0, 2): 0.3}
    text = to_markdown(text_table(found, []))
    assert "| 0.3000<sup>§</sup> ± 0.0000 [2/3] |" in text
    assert f"1 run of other code of method or backbone left out: {edited}." in text
    assert "§ other harness code:" in text


def test_published_values_stand_beside_ours(tmp_path: Path) -> None:
    place = store(f"sqlite:///{tmp_path}/mlflow.db")
    record(place, ["dataset=baby", "method=tru", "audit=standard", "seed=0"], {TEST_RECALL: 0.09})
    found = measure(layout("tru-table-1", Scope(("baby",), ("mgcn",), (0,))), runs(place.uri, "lethe"))
    own = at(found, "tru", "test recall@20")
    assert own.published is not None
    assert (own.published.value, own.difference) == (0.0944, pytest.approx(-0.0044))
    assert at(found, GOLD, "test recall@20").published is None


def test_a_method_that_is_not_here_is_said_to_be_unavailable() -> None:
    spec = layout("tru-table-1", Scope(("synthetic",), ("nosuch",)))
    found = measure(spec, [])
    assert all("backbone=nosuch is not known" in place.unavailable for place in found.places)

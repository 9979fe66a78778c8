"""What makes no sense for a model is said in tables, and not left blank."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.record.names import RETAIN_RECALL, TEST_RECALL, not_applicable
from bench.sweep.summary import COLUMNS, Row, _text
from results.runs.frame import runs
from results.runs.groups import Group, grouped
from results.runs.settings import variants
from results.tables.audit_table import audit_table
from results.tables.leaderboard import leaderboard
from tests.results.store import record, store, table_cell

REASON = "it masks what it knows"
TAGS = {"lethe.not_applicable.retain": REASON, "lethe.not_applicable.audit/onion": REASON}


@pytest.fixture
def groups(tmp_path: Path) -> list[Group]:
    """A method that cannot be asked for two figures, and one that can."""
    place = store(f"sqlite:///{tmp_path}/mlflow.db")
    record(place, table_cell(0, "tru"), {TEST_RECALL: 0.4, "audit/membership/auc": 0.6}, tags=TAGS)
    others = {TEST_RECALL: 0.3, RETAIN_RECALL: 0.2, "audit/onion/growth": 0.1, "audit/membership/auc": 0.5}
    record(place, table_cell(0, "mmrecun"), others)
    found = runs(place.uri, "lethe")
    return grouped(found, variants(found))


def test_the_leaderboard_and_the_audits_say_it_with_the_reason(groups: list[Group]) -> None:
    table = leaderboard(groups)
    cells = {labels[3]: [text.plain for text in texts] for labels, texts in table.rows}
    assert cells["tru"][2] == "n/a"
    assert cells["mmrecun"][2] == "0.2000"
    assert f"n/a of tru: not applicable, {REASON}." in table.notes
    audits = audit_table(groups)
    rows = {labels[-2:]: [text.plain for text in texts] for labels, texts in audits.rows}
    assert sorted(rows["onion", "growth"]) == ["0.1000", "n/a"]
    assert sorted(rows["membership", "auc"]) == ["0.5000", "0.6000"]
    assert f"n/a of tru: not applicable, {REASON}." in audits.notes


def test_the_table_of_a_sweep_says_it_too() -> None:
    retain = next(column for column in COLUMNS if column.metric == RETAIN_RECALL)
    labels = {"method": "tru"}
    assert _text(retain, Row(labels, "finished", {}, tags=TAGS), "").strip() == "n/a"
    assert _text(retain, Row(labels, "finished", {}), "").strip() == "-"


def test_a_beginning_covers_whole_names_only() -> None:
    tags = {f"lethe.not_applicable.{name}": name for name in ("retain", "audit/trace", "audit/trace/base_")}
    assert not_applicable(tags, "retain/recall_at_20") == "retain"
    assert not_applicable(tags, "retained/recall_at_20") == ""
    assert not_applicable(tags, "audit/trace/auc") == "audit/trace"
    assert not_applicable({"lethe.not_applicable.audit/trace/base_": "b"}, "audit/trace/base_auc") == "b"
    assert not_applicable({"lethe.not_applicable.audit/trace/base_": "b"}, "audit/trace/auc") == ""


def test_runs_on_a_sample_of_users_are_a_row_of_their_own(tmp_path: Path) -> None:
    place = store(f"sqlite:///{tmp_path}/mlflow.db")
    record(place, table_cell(0, "tru"), {TEST_RECALL: 0.4})
    for seed in (0, 1):
        more = ("evaluate.users.count=20", f"evaluate.users.seed={seed}")
        record(place, table_cell(0, "tru", *more), {TEST_RECALL: 0.3})
    found = runs(place.uri, "lethe")
    options = [group.options for group in grouped(found, variants(found))]
    assert options == [
        "",
        "evaluate.users.count=20",
        "evaluate.users.count=20 evaluate.users.seed=1",
    ]

"""The table of audits from cells of known content."""

from __future__ import annotations

import pytest

from results.__main__ import main as command
from results.tables.audit_table import audit_table
from results.tables.leaderboard import standings
from tests.results.made import cell

ACCURACY = "audit/membership/balanced_accuracy"


def test_a_row_per_figure_and_a_column_per_method_references_first() -> None:
    found = [cell(method, seed) for method in ("tru", "retrain", "original") for seed in (0, 1, 2)]
    table = audit_table(standings(found, {}))
    assert [title for title, _ in table.header] == ["Original", "Retrain (gold)", "TRU"]
    row = next(texts for names, texts in table.rows if names[-1] == "balanced_accuracy")
    assert row[1].plain == "0.5250"
    assert not any(names[-1].startswith(("gold_", "original_")) for names, _ in table.rows)


def test_intervals_are_over_seeds_and_of_one_seed_the_audits_own() -> None:
    own = {"audit__membership__balanced_accuracy_low": 0.4, "audit__membership__balanced_accuracy_high": 0.7}
    (one,) = (
        texts
        for names, texts in audit_table(standings([cell("tru", 0, **own)], {})).rows
        if names[-1] == "balanced_accuracy"
    )
    assert one[0].tail == " [0.4000, 0.7000]"
    several = audit_table(standings([cell("tru", seed, **own) for seed in (0, 1, 2)], {}))
    (row,) = (texts for names, texts in several.rows if names[-1] == "balanced_accuracy")
    assert row[0].plain == "0.5200"
    assert row[0].tail == " [0.5169, 0.5231]"  # t(.975, 2 df) = 4.303 times .00125 / sqrt(3)


def test_other_options_have_a_column_and_a_note_of_their_own() -> None:
    plain, other = cell("tru", 0), cell("tru", 0, params={"method.alpha": "0.5"})
    table = audit_table(standings([plain, other], {other.run_id: "alpha=0.5"}))
    assert [title for title, _ in table.header] == ["TRU", "TRU (a)"]
    assert "a: tru with alpha=0.5" in table.notes


def test_what_was_not_audited_is_a_dash() -> None:
    table = audit_table(standings([cell("tru", 0, audit__relearn__passes=3.0), cell("retrain", 0)], {}))
    (row,) = (texts for names, texts in table.rows if names[-1] == "passes")
    assert [text.plain for text in row] == ["-", "3.0000"]


def test_the_command_says_when_there_is_none(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["audits", "--uri", f"sqlite:///{tmp_path}/none.db"]) == 1
    assert "no finished cell with an audit" in capsys.readouterr().err

"""The table of audits from cells of known content."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.record.names import CODE_TAG
from results.__main__ import main as command
from results.runs.groups import grouped
from results.tables.audit_table import audit_table
from tests.results.made import cell

ACCURACY = "audit/membership/balanced_accuracy"


def test_a_row_per_figure_and_a_column_per_method_references_first() -> None:
    found = [cell(method, seed) for method in ("tru", "retrain", "original") for seed in (0, 1, 2)]
    grid = audit_table(grouped(found, {}))
    assert [title for title, _ in grid.header] == ["Original", "Retrain (gold)", "TRU"]
    row = next(texts for names, texts in grid.rows if names[-1] == "balanced_accuracy")
    assert row[1].plain == "0.5250"
    assert not any(names[-1].startswith(("gold_", "original_")) for names, _ in grid.rows)


def test_intervals_are_over_seeds_and_of_one_seed_the_audits_own() -> None:
    own = {"audit__membership__balanced_accuracy_low": 0.4, "audit__membership__balanced_accuracy_high": 0.7}
    (one,) = (
        texts
        for names, texts in audit_table(grouped([cell("tru", 0, **own)], {})).rows
        if names[-1] == "balanced_accuracy"
    )
    assert one[0].tail == " [0.4000, 0.7000]"
    several = audit_table(grouped([cell("tru", seed, **own) for seed in (0, 1, 2)], {}))
    (row,) = (texts for names, texts in several.rows if names[-1] == "balanced_accuracy")
    assert row[0].plain == "0.5200"
    assert row[0].tail == " [0.5169, 0.5231]"  # t(.975, 2 df) = 4.303 times .00125 / sqrt(3)


def test_other_options_have_a_column_and_a_note_of_their_own() -> None:
    plain, other = cell("tru", 0), cell("tru", 0, params={"method.alpha": "0.5"})
    grid = audit_table(grouped([plain, other], {other.run_id: "alpha=0.5"}))
    assert [title for title, _ in grid.header] == ["TRU", "TRU (a)"]
    assert "a: tru with alpha=0.5" in grid.notes


def test_what_was_not_audited_is_a_dash() -> None:
    grid = audit_table(grouped([cell("tru", 0, audit__relearn__passes=3.0), cell("retrain", 0)], {}))
    (row,) = (texts for names, texts in grid.rows if names[-1] == "passes")
    assert [text.plain for text in row] == ["-", "3.0000"]


def test_a_figure_that_fewer_seeds_have_says_so() -> None:
    found = [cell("tru", 0, audit__relearn__passes=3.0), cell("tru", 1)]
    (row,) = (texts for names, texts in audit_table(grouped(found, {})).rows if names[-1] == "passes")
    assert row[0].tail == " [1/2]"


def test_figures_of_other_audit_code_are_flagged() -> None:
    codes = [CODE_TAG + "audit.relearn"] * 2
    found = [
        replace(cell("tru", seed, audit__relearn__passes=3.0), tags={code: f"code {seed}"})
        for seed, code in enumerate(codes)
    ]
    grid = audit_table(grouped(found, {}))
    signs = {names[-1]: texts[0].signs for names, texts in grid.rows}
    assert (signs["passes"], signs["balanced_accuracy"]) == ("§", "")
    assert any(note.startswith("§ the audit's own code differs") for note in grid.notes)


def test_the_command_says_when_there_is_none(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["audits", "--uri", f"sqlite:///{tmp_path}/none.db"]) == 1
    assert "no finished cell with an audit" in capsys.readouterr().err

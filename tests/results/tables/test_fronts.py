"""Trade-off fronts from trials of known figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.record.names import FORGET_RECALL, VALID_RECALL
from bench.tune.record import GOLD_FORGET_RECALL, GOLD_VALID_RECALL, UNLEARN_SECONDS
from results.__main__ import main as command
from results.runs.frame import CellRun
from results.tables.fronts import fronts
from results.tables.text_table import Text
from tests.results.made import cell


def trial(method: str, name: str, valid: float | None, forget: float | None) -> CellRun:
    metrics = {GOLD_VALID_RECALL: 0.1, GOLD_FORGET_RECALL: 0.02, UNLEARN_SECONDS: 3.0}
    if valid is not None and forget is not None:
        metrics |= {VALID_RECALL: valid, FORGET_RECALL: forget}
    return replace(cell(method, 0), run_id=name, cell_key=name, metrics=metrics)


def options(found: list[CellRun]) -> dict[str, str]:
    return {run.run_id: run.run_id for run in found}


def test_a_methods_front_leaves_out_what_another_trial_of_it_beats() -> None:
    found = [
        trial("tru", "kept", 0.09, 0.02),
        trial("tru", "beaten", 0.08, 0.03),
        trial("tru", "also", 0.095, 0.05),
        trial("mmrecun", "own", 0.07, 0.01),
        trial("mmrecun", "diverged", None, None),
    ]
    table = fronts(found, options(found))
    assert [names[-1] for names, _ in table.rows] == ["", "own", "also", "kept"]
    gold, own, also, kept = (texts for _, texts in table.rows)
    assert gold[:2] == (Text("0.1000"), Text("0.0200"))
    assert [places[0].mark for places in (own, also, kept)] == ["", "best", "best"]
    assert [places[2].plain for places in (own, also, kept)] == ["0.0100", "0.0300", "0.0000"]
    assert table.notes[0].startswith("4 trials, 1 diverged")


def test_trials_of_gold_free_tuning_have_a_front_around_their_own_aim() -> None:
    found = trial("tru", "kept", 0.09, 0.02)
    aim = {"proxy/valid_recall_at_20": 0.2, "proxy/forget_recall_at_20": 0.05}
    free = replace(found, metrics={k: v for k, v in found.metrics.items() if "gold" not in k} | aim)
    (name, gold), (_, own) = fronts([free], options([free])).rows
    assert (name[-2], gold[1].plain, own[2].plain) == ("proxy", "0.0500", "0.0300")
    both = fronts([found, replace(free, run_id="free")], {"kept": "a=1", "free": "a=2"})
    assert both.rows[0][0][-2] == "Retrain (gold)", "gold where any trial knows it"


def test_the_latest_of_equal_options_counts() -> None:
    found = [trial("tru", "first", 0.09, 0.02), trial("tru", "second", 0.05, 0.02)]
    table = fronts(found, dict.fromkeys(("first", "second"), "alpha=0.5"))
    assert [texts[0].plain for _, texts in table.rows] == ["0.1000", "0.0500"]


def test_the_command_says_when_nothing_was_tuned(
    tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["fronts", "--uri", f"sqlite:///{tmp_path}/none.db"]) == 1
    assert "no trial of experiment lethe" in capsys.readouterr().err

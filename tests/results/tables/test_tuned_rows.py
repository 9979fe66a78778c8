"""What tables say of rows whose options were tuned: by which rule, what that took, and what must be known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from bench.config.tuned import OTHER_CODE, REMARKS, SAME_REQUEST
from bench.record.names import (
    TUNED_REMARKS_TAG,
    TUNED_RULE_TAG,
    TUNED_SECONDS_TAG,
    TUNED_TAG,
    TUNED_TRIALS_TAG,
)
from results.distance.ranks import entry_name, method_of
from results.runs.frame import CellRun
from results.runs.groups import Group, grouped
from results.tables.layout import layout
from results.tables.leaderboard import leaderboard
from results.tables.measured import measure
from results.tables.notes import notes
from tests.results.made import cell
from tests.results.tables.table_one import SCOPE

ORACLE = {
    TUNED_TAG: "true",
    TUNED_RULE_TAG: "oracle tuning",
    TUNED_TRIALS_TAG: "20",
    TUNED_SECONDS_TAG: "1234.56",
}
TEXT = "oracle tuning: 20 trials, 1,234.6 s of the method's clock"


def made(seed: int, tags: Mapping[str, str], method: str = "tru") -> CellRun:
    run = cell(method, seed)
    return replace(run, tags={**run.tags, **tags})


def row(*runs: CellRun) -> Group:
    (found,) = grouped(runs, {})
    return found


def over(group: Group) -> str:
    text = leaderboard([group]).rows[0][1][0]
    return text.plain + text.tail


def test_a_row_names_its_rule_and_counts_trials_and_seconds() -> None:
    found = row(made(0, ORACLE), made(1, ORACLE))
    assert over(found) == f"1 request x 2 seeds; {TEXT}"
    assert entry_name(found) == "tru (oracle tuning)"
    assert over(row(made(0, {}))) == "1 request x 1 seed"


@pytest.mark.parametrize(
    ("tags", "text", "name"),
    [
        (
            {**ORACLE, TUNED_RULE_TAG: "gold-free tuning"},
            TEXT.replace("oracle", "gold-free"),
            "gold-free tuning",
        ),
        ({TUNED_TAG: "true"}, "tuned by a rule that was not recorded", "tuned"),
    ],
)
def test_rules_are_told_apart(tags: dict[str, str], text: str, name: str) -> None:
    found = row(made(0, tags))
    assert over(found).endswith(f"; {text}")
    assert entry_name(found) == f"tru ({name})"
    assert method_of(f"tru ({name})") == "tru"


def test_a_row_that_is_tuned_in_part_is_ranked_as_what_it_is() -> None:
    found = row(made(0, ORACLE), made(1, {}))
    assert over(found) == f"1 request x 2 seeds; in part: {TEXT}"
    assert entry_name(found) == "tru"


def test_a_row_tuned_on_what_it_reports_is_flagged() -> None:
    said = {**ORACLE, TUNED_REMARKS_TAG: f"{SAME_REQUEST}; {OTHER_CODE}"}
    found = row(made(0, said), made(1, ORACLE))
    assert found.flags == (SAME_REQUEST, OTHER_CODE)
    assert over(found).endswith(f"; {TEXT}; {SAME_REQUEST}; {OTHER_CODE}")
    lines = leaderboard([found]).notes
    assert [line for line in lines if line.startswith("tuned")] == [
        f"{remark}: {REMARKS[remark]}." for remark in (SAME_REQUEST, OTHER_CODE)
    ]
    assert not row(made(0, ORACLE)).flags


def test_the_papers_tables_say_how_their_options_were_chosen(uri: str) -> None:
    from results.runs.frame import runs

    every = runs(uri, "lethe")
    tuned = [
        replace(run, tags={**run.tags, **ORACLE}) if run.labels["method"] in ("tru", "mmrecun") else run
        for run in every
    ]
    texts = ["\n".join(notes(measure(layout("tru-table-1", SCOPE), own), [], [])) for own in (tuned, every)]
    assert f"{TEXT} (options of MMRecUn, TRU)." in texts[0]
    assert "tuning" not in texts[1]

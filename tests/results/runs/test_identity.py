"""What a row may average: one data set, one code of the method; everything else is said or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bench.record.names import CODE_TAG, DATA_KEY_TAG, REQUEST_KEY_TAG, TEST_RECALL
from datasets.errors import InputError
from results.__main__ import main as command
from results.runs.at import At, coverage, shared
from results.runs.frame import CellRun
from results.runs.groups import Group, gold_for, grouped
from results.runs.identity import HARNESS, OLDER, REQUESTS, UNRECORDED, own_code
from results.tables.leaderboard import leaderboard
from results.tables.marks import marks
from tests.results.made import cell
from tests.results.store import record, store, table_cell


def made(
    seed: int, recall: float, ended: int = 0, method: str = "tru", code: Mapping[str, str] | None = None
) -> CellRun:
    """A run of today's code but for the parts that are named."""
    run = cell(method, seed, test__recall_at_20=recall)
    tags = {**run.tags, **{CODE_TAG + part: digest for part, digest in (code or {}).items()}}
    return replace(run, run_id=f"{method}{seed}{recall}", cell_key=f"{seed}{recall}", tags=tags, ended=ended)


def row(*runs: CellRun) -> Group:
    (found,) = grouped(runs, {})
    return found


def values(group: Group) -> dict[int, float]:
    return {at.seed: value for at, value in group.values(TEST_RECALL).items()}


def test_an_edit_that_was_reverted_leaves_no_trace() -> None:
    wrecked = made(0, 0.9575, ended=2, code={"method": "edited"})
    found = row(made(0, 0.31, ended=1), wrecked, made(1, 0.32, ended=3))
    assert values(found) == {0: 0.31, 1: 0.32}
    assert [run.run_id for run in found.left_out] == [wrecked.run_id]
    assert found.flags == ()
    text = leaderboard([found]).rows[0][1][0]
    assert text.plain + text.tail == "1 request x 2 seeds; 1 run of other code left out"


def test_older_code_alone_is_flagged_and_takes_no_mark() -> None:
    old = [made(seed, 0.9, method="mmrecun", code={"method": "edited"}) for seed in (0, 1)]
    found = grouped([*old, made(0, 0.3), made(0, 0.2, method="reset")], {})
    flags = {group.method: group.flags for group in found}
    assert flags == {"mmrecun": (OLDER,), "reset": (), "tru": ()}
    assert {found[index].method: mark for index, mark in marks(found, TEST_RECALL, "high").items()} == {
        "tru": "best",
        "reset": "second",
    }


def test_two_older_codes_are_never_averaged_the_latest_counts() -> None:
    found = row(
        made(0, 0.5, ended=1, code={"method": "first"}),
        made(1, 0.6, ended=2, code={"method": "second"}),
        made(2, 0.7, ended=3, code={"method": "first"}),
    )
    assert values(found) == {0: 0.5, 2: 0.7}
    assert (found.flags, len(found.left_out)) == ((OLDER,), 1)


def test_the_code_of_the_backbone_counts_like_the_methods() -> None:
    found = row(made(0, 0.5), made(1, 0.9, code={"backbone": "edited"}))
    assert values(found) == {0: 0.5}
    assert len(found.left_out) == 1


def test_other_harness_code_is_averaged_where_nothing_newer_is_there_and_flagged() -> None:
    older = made(0, 0.5, ended=5, code={"measure": "older"})
    again = made(0, 0.4, ended=1)
    found = row(older, again, made(1, 0.6, code={"train": "older"}))
    assert values(found) == {0: 0.4, 1: 0.6}, "of seed 0 today's harness counts, though that run is older"
    assert found.flags == (HARNESS,)
    assert found.is_ranked
    assert row(again, made(1, 0.6)).flags == ()
    assert row(older).flags == (HARNESS,)


def test_runs_from_before_code_was_recorded_are_flagged_and_give_way() -> None:
    bare = replace(made(0, 0.5), tags={})
    assert own_code(bare) == "unrecorded"
    assert row(bare).flags == (UNRECORDED,)
    found = row(bare, made(1, 0.6))
    assert (values(found), len(found.left_out), found.flags) == ({1: 0.6}, 1, ())


def test_a_method_that_is_not_here_has_no_code_to_compare_with() -> None:
    (found,) = grouped([replace(made(0, 0.5), labels={**made(0, 0.5).labels, "method": "plugin"})], {})
    assert found.flags == ()


def test_other_requests_under_one_number_are_flagged() -> None:
    runs = [replace(made(s, 0.5), tags={**made(s, 0.5).tags, REQUEST_KEY_TAG: f"file {s}"}) for s in (0, 1)]
    assert row(*runs).flags == (REQUESTS,)


def of_data(run: CellRun, key: str) -> CellRun:
    return replace(run, tags={**run.tags, DATA_KEY_TAG: key})


@pytest.mark.parametrize("other", ["tru", "mmrecun"])
def test_rows_of_different_data_are_refused_with_the_runs_named(other: str) -> None:
    runs = [of_data(made(0, 0.5), "first data"), of_data(made(1, 0.6, method=other), "second data")]
    with pytest.raises(InputError) as refused:
        grouped(runs, {})
    text = str(refused.value)
    for part in ("dataset=baby", runs[0].run_id, runs[1].run_id, "retire", "first da", "second d"):
        assert part in text
    assert len([sentence for sentence in text.split(". ") if sentence]) == 1


def test_data_of_other_options_are_other_rows_and_not_refused() -> None:
    other = of_data(made(1, 0.6), "second data")
    other = replace(other, params={**other.params, "dataset.num_users": "9"})
    found = grouped([of_data(made(0, 0.5), "first data"), other], {other.run_id: "dataset.num_users=9"})
    assert len(found) == 2


def test_the_leaderboard_refuses_two_data_keys_until_one_side_is_retired(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = store(f"sqlite:///{tmp_path}/mlflow.db")
    kept = record(place, table_cell(0, "tru"), {TEST_RECALL: 0.3})
    other = record(place, table_cell(1, "tru"), {TEST_RECALL: 0.5}, tags={DATA_KEY_TAG: "other data"})
    for verb in (
        ["leaderboard"],
        ["site", "--out", f"{tmp_path}/p.html"],
        ["tru-table-1", "--dataset", "synthetic"],
    ):
        assert command([*verb, "--uri", place.uri]) == 2, verb
        said = capsys.readouterr().err
        assert said.startswith("error: dataset=synthetic was not the same for all runs")
        assert kept in said
        assert other in said
    assert command(["retire", other[:12], "--reason", "the files were replaced", "--uri", place.uri]) == 0
    capsys.readouterr()
    assert command(["leaderboard", "--uri", place.uri]) == 0
    assert "0.3000" in capsys.readouterr().out


def test_gold_of_a_row_is_of_its_data_request_backbone_and_training() -> None:
    params = {"train.max_epochs": "3"}

    def with_keys(method: str, seed: int, data: str, request: str, **more: str) -> CellRun:
        run = cell(method, seed, params={**params, **more})
        return replace(run, tags={**run.tags, DATA_KEY_TAG: data, REQUEST_KEY_TAG: request})

    tru = with_keys("tru", 0, "d", "r")
    same = with_keys("retrain", 1, "d", "r")
    others = [
        with_keys("retrain", 2, "d", "another request"),
        with_keys("retrain", 3, "d", "r", **{"train.max_epochs": "9"}),
        with_keys("retrain", 4, "another", "r"),
    ]
    group = Group(("baby", "mgcn", "user"), "tru", "", (tru,))
    golds = Group(("baby", "mgcn", "user"), "retrain", "", (same, *others))
    found = gold_for(group, [group, golds])
    assert found is not None
    assert [run.run_id for run in found.runs] == [same.run_id]
    assert gold_for(group, [group]) is None


def test_coverage() -> None:
    assert coverage([At(0, 0)]) == "1 request x 1 seed"
    assert coverage([At(r, s) for r in (0, 1) for s in (0, 1)]) == "2 requests x 2 seeds"
    assert coverage([At(0, 0), At(0, 1), At(1, 2)]) == "3 of 2 requests x 3 seeds"


def test_what_rows_share() -> None:
    seeds = {name: [At(0, seed) for seed in range(count)] for name, count in (("a", 5), ("b", 3), ("c", 5))}
    assert shared(seeds) == (["a", "c", "b"], [At(0, 0), At(0, 1), At(0, 2)])
    stray = seeds | {"d": [At(0, 0)]}
    assert shared(stray)[1] == [At(0, 0), At(0, 1), At(0, 2)]
    assert "d" not in shared(stray)[0]
    assert shared({"a": [At(0, 0)], "b": [At(0, 1)]})[0] == ["a"]
    assert shared({"a": []}) == ([], [])

"""Mean ranks and their tests against values worked out by hand and by SciPy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bench.record.names import TEST_RECALL, TUNED_TAG
from results.__main__ import main as command
from results.distance.closeness import Closeness
from results.distance.ranks import Ranks, ranks
from results.runs.frame import CellRun
from results.runs.groups import grouped
from results.tables.ranks_table import ranks_table
from tests.results.made import cell, rows
from tests.results.store import record, store, table_cell


def made(*settings: dict[str, float | None]) -> Ranks:
    return Ranks(
        {
            (str(n),): {name: Closeness({"part": v}) for name, v in own.items()}
            for n, own in enumerate(settings)
        },
        {},
        {},
    )


def test_ranks_are_shared_by_ties_and_what_is_missing_is_last_and_counted() -> None:
    found = made({"a": 1.0, "b": 2.0, "c": 2.0, "d": 9.0}, {"a": None, "b": 1.0, "d": 5.0})
    assert found.table().to_dict("list") == {
        "b": [2.5, 1.0],
        "a": [1.0, 3.5],
        "d": [4.0, 2.0],
        "c": [2.5, 3.5],
    }
    assert found.mean_ranks == {"b": 1.75, "a": 2.25, "c": 3.0, "d": 3.0}
    assert {name: found.missing(name) for name in found.methods} == {"b": 0, "a": 1, "c": 1, "d": 0}
    assert found.mean_score("d") == 7.0


def test_friedman_and_nemenyi_are_those_of_scipy_and_of_demsar() -> None:
    random = np.random.default_rng(0)
    settings = [{name: float(shift + random.normal()) for name, shift in SHIFTS.items()} for _ in range(8)]
    found = made(*settings)
    ranked = np.array([stats.rankdata([own[name] for name in SHIFTS]) for own in settings])
    assert found.friedman == pytest.approx(stats.friedmanchisquare(*ranked.T).pvalue)
    # q = 2.569 for four methods (Demsar, 2006, table 5)
    assert found.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 8)), abs=1e-3)
    p = found.nemenyi()
    mean = found.mean_ranks
    for one in found.methods:
        for other in found.methods:
            apart = abs(mean[one] - mean[other]) > found.critical_difference
            assert (p.loc[one, other] < 0.05) == apart


SHIFTS = {"a": 0.0, "b": 0.5, "c": 3.0, "d": 4.0}


@pytest.mark.parametrize("settings", [1, 2])
def test_without_three_methods_and_two_settings_there_is_no_test(settings: int) -> None:
    found = made(*[{"a": 1.0, "b": 2.0}] * settings)
    assert (found.can_be_tested, found.friedman, found.critical_difference) == (False, None, None)
    assert "No test" in ranks_table(found).notes[0]


def test_of_a_store_default_and_tuned_rows_are_ranked_and_ablations_are_not() -> None:
    tuned = [
        replace(
            cell("tru", seed, params={"method.alpha": "0.5"}), tags={**cell("tru", 0).tags, TUNED_TAG: "true"}
        )
        for seed in (0, 1, 2)
    ]
    ablation = [cell("tru", seed, params={"method.gate": "False"}) for seed in (0, 1, 2)]
    variants = {run.run_id: "alpha=0.5" for run in tuned} | {run.run_id: "gate=False" for run in ablation}
    found = ranks(rows([*tuned, *ablation], variants))
    assert set(found.methods) == {"tru", "tru (tuned)", "mmrecun"}
    assert found.missing("tru (tuned)") == 3
    assert found.mean_ranks["tru"] < found.mean_ranks["mmrecun"]


def test_other_training_is_another_setting_and_not_another_method() -> None:
    params = {"train.max_epochs": "3"}
    seeds = {"retrain": range(5), "tru": range(3), "mmrecun": range(3)}
    other = [cell(m, s, params=params) for m, own in seeds.items() for s in own]
    found = ranks(rows(other, {run.run_id: "train.max_epochs=3" for run in other}))
    assert set(found.methods) == {"tru", "mmrecun"}
    assert ("baby", "mgcn", "user", "train.max_epochs=3") in found.scores
    assert len(found.scores) == 5
    assert found.missing("tru") == 0


def test_without_five_golds_a_setting_has_no_scores_and_the_table_says_why() -> None:
    found = ranks(grouped([cell(m, s) for m in ("retrain", "tru") for s in (0, 1, 2)], {}))
    assert not found.scores
    (why,) = found.unscored.values()
    assert "test recall: 3 of 5 golds" in why
    assert any("baby/mgcn/user has no scores" in note for note in ranks_table(found).notes)


def test_the_verb_prints_ranks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = store(f"sqlite:///{tmp_path}/mlflow.db")
    for method, recall in (("retrain", 0.3), ("tru", 0.303), ("reset", 0.305)):
        for seed in range(5 if method == "retrain" else 1):
            record(place, table_cell(seed, method), {TEST_RECALL: recall + seed / 1000})
    assert command(["ranks", "--uri", place.uri]) == 0
    text = capsys.readouterr().out
    assert "| tru | 1.00 |" in text
    assert "| reset | 2.00 |" in text
    assert "synthetic/mgcn/user: not in C: forget recall (0 of 5 golds)" in text
    assert command(["ranks", "--uri", place.uri, "--dataset", "baby"]) == 1
    assert command(["ranks", "--uri", place.uri, "--method", "reset"]) == 0
    assert "| tru |" not in capsys.readouterr().out


def test_a_row_of_older_code_is_not_ranked() -> None:
    def older(run: CellRun) -> CellRun:
        return replace(run, tags={**run.tags, "lethe.code.method": "edited"})

    runs = [older(run) if run.labels["method"] == "tru" else run for group in rows() for run in group.runs]
    assert ranks(grouped(runs, {})).methods == ["mmrecun"]

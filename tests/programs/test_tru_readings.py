"""The identification study of TRU: readings and their options, claims, verdicts, the whole on tiny data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.config.schema import build
from bench.config.source import options_of
from bench.record.names import FORGET_RECALL, VALID_RECALL
from bench.tune.record import UNLEARN_SECONDS, Trial
from bench.tune.trial import TrialPipeline
from results.runs.frame import CellRun, trials
from tests.bench.cells import TINY
from tests.programs.tru_readings.__main__ import main
from tests.programs.tru_readings.claims import (
    CAP,
    GOLD_SECONDS,
    GOLD_SHIFT,
    IMAGE_TABLE,
    ORIGINAL_VALID,
    SHIFT,
    Claim,
    claims,
    misfit,
)
from tests.programs.tru_readings.page import page
from tests.programs.tru_readings.readings import PARTS, SPACE, Reading, limits
from tests.programs.tru_readings.record import settings, signature_of
from tests.programs.tru_readings.verdicts import Trials, together, verdict
from tests.results.made import cell
from unlearning.gradients import modules_of

READINGS = [
    Reading(),
    Reading(form="ascent", optimiser="adam_lr", adam_rate=0.01, repair="full"),
    *(Reading(gate=gate) for gate in ("unmasked", "literal", "score", "off")),  # type: ignore[arg-type]
    Reading(scaling=False),
    Reading(isolation=False),
    Reading(p=0.9, lambda_fusion=0.5, epochs=1, sgd_rate=3.0),
]


def test_the_defaults_of_a_reading_are_those_of_the_method() -> None:
    assert signature_of(Reading().options()) == signature_of({})


def test_each_reading_has_options_of_its_own_that_fit() -> None:
    signatures = {signature_of(reading.options()) for reading in READINGS}
    assert len(signatures) == len(READINGS)


def test_a_factor_without_effect_makes_no_other_options() -> None:
    off = Reading(gate="off", isolation=False)
    other = replace(off, lambda_fusion=0.7, p=0.8, adam_rate=0.05)
    assert signature_of(off.options()) == signature_of(other.options())


def test_the_space_names_every_factor_and_both_ends_fit() -> None:
    assert set(SPACE) == set(Reading().as_dict())
    for factor, searched in SPACE.items():
        for value in searched.ends():
            build(options_of("method", "tru"), replace(Reading(), **{factor: value}).options(), "method")


def test_ablations_leave_one_part_out_and_all_of_them_is_mmrecun() -> None:
    whole = Reading(p=0.3)
    for part in PARTS:
        without = whole.without([part])
        assert whole.has(part)
        assert not without.has(part)
        assert all(without.has(other) for other in PARTS if other != part)
    options = build(options_of("method", "tru"), whole.without(PARTS).options(), "method")
    assert (options.gate, options.scaling, options.isolation) == (False, False, False)


def test_every_limit_fits_and_each_module_is_moved_alone_once() -> None:
    found = limits(["users", "items"])
    assert len({signature_of(options) for options in found.values()}) == len(found)
    assert [o["modules"] for o in found.values() if "modules" in o] == [["users"], ["items"]]


# Claims.


def test_the_claims_are_what_the_paper_prints() -> None:
    found = {(c.group, c.title): c.printed for c in claims("mgcn", "baby")}
    assert found["Table 4", "forget recall@20, without gate"] == 0.0746
    assert found["Table 1, MMRecUn", "utility over the original's"] == pytest.approx(0.0883 / 0.0944)
    assert found["Figure 5", "TRU: shift of the image table over gold's"] == pytest.approx(0.132 / 0.089)
    assert claims("mgcn", "synthetic") == []
    assert {c.printed for c in claims("mig_gt", "baby") if c.group == "Table 4"} == {
        0.0077,
        0.0153,
        0.0081,
        0.0093,
    }


def metrics(forget: float, kept: float = 1.0, moved: float = 1.0, faster: float = 100.0) -> dict[str, float]:
    """Metrics of a trial."""
    return {
        FORGET_RECALL: forget,
        VALID_RECALL: 0.1 * kept,
        ORIGINAL_VALID: 0.1,
        SHIFT + IMAGE_TABLE: 0.1 * moved,
        GOLD_SHIFT + IMAGE_TABLE: 0.1,
        GOLD_SECONDS: faster,
        UNLEARN_SECONDS: 1.0,
    }


def one(group: str, title: str) -> Claim:
    (found,) = [c for c in claims("mgcn", "baby") if (c.group, c.title) == (group, title)]
    return found


def test_distances_are_in_tolerances_and_capped_where_nothing_was_measured() -> None:
    gate = one("Table 4", "forget recall@20, without gate")
    assert gate.distance(metrics(0.0946)) == pytest.approx(2.0)
    assert gate.holds(metrics(0.08))
    assert not gate.holds(metrics(0.09))
    assert gate.distance(None) == gate.distance({UNLEARN_SECONDS: 1.0}) == CAP
    shift = one("Figure 5", "TRU: shift of the image table over gold's")
    assert shift.distance(metrics(0.0, moved=1.1 * 0.132 / 0.089)) == pytest.approx(1.0)
    without_table = {k: v for k, v in metrics(0.0).items() if IMAGE_TABLE not in k}
    assert shift.distance(without_table) is None
    faster = one("Figure 7", "times faster than retraining, at least")
    assert faster.holds(metrics(0.0, faster=50.0))
    assert faster.distance(metrics(0.0, faster=12.5)) == pytest.approx(2.0)
    assert not faster.holds(metrics(0.0, faster=49.0))


def test_the_misfit_adds_up_what_is_missed() -> None:
    gate, shift = (
        one("Table 4", "forget recall@20, without gate"),
        one("Figure 5", "TRU: shift of the image table over gold's"),
    )
    trials_of = {"gate": metrics(0.0946), "full": metrics(0.0, moved=0.132 / 0.089)}
    assert misfit([gate, shift], trials_of) == pytest.approx(2.0)
    assert misfit([gate, shift], {"full": trials_of["full"]}) == pytest.approx(CAP)


# Verdicts.


def run(name: str, **figures: float) -> CellRun:
    return replace(cell("tru", 0), run_id=name, metrics=metrics(**figures))


def trials_with(name: str, forgets: Mapping[str, float], **figures: float) -> Trials:
    return {role: run(f"{name}-{role}", forget=value, **figures) for role, value in forgets.items()}  # type: ignore[misc]


AS_PRINTED = {"full": 0.0, "gate": 0.0746, "scaling": 0.0074, "isolation": 0.0075, "all": 0.0}
TABLE_4 = [c for c in claims("mgcn", "baby") if c.group == "Table 4"]


def test_a_claim_is_reproduced_by_the_trials_of_one_reading() -> None:
    tried = {
        Reading(p=0.1): trials_with("far", {**AS_PRINTED, "gate": 0.5}),
        Reading(p=0.2): trials_with("near", AS_PRINTED),
    }
    found = verdict(TABLE_4, tried)
    assert found.text.startswith(f"reproduced under {Reading(p=0.2).in_words()} (0, 0.0746, 0.0074, 0.0075)")
    assert found.text.endswith("by 1 of 2 readings tried")
    assert found.run_id == "near-full"
    assert found.printed == "0, 0.0746, 0.0074, 0.0075"


def test_two_readings_that_hold_half_each_reproduce_nothing() -> None:
    tried = {
        Reading(p=0.1): trials_with("one", {**AS_PRINTED, "gate": 0.2}),
        Reading(p=0.2): trials_with("two", {**AS_PRINTED, "scaling": 0.05}),
    }
    found = verdict(TABLE_4, tried)
    assert found.text.startswith("not reproducible under any of 2 readings tried; nearest: ")
    assert Reading(p=0.2).in_words() in found.text
    assert found.run_id == "two-full"
    assert all(verdict([claim], tried).text.startswith("reproduced") for claim in TABLE_4)


def test_what_was_not_run_or_has_no_figure_is_not_testable() -> None:
    only_full = {Reading(): trials_with("x", {"full": 0.0})}
    assert verdict(TABLE_4, only_full).text == (
        "not testable here: no reading came near enough to Table 1 for its ablations to be run"
    )
    shift = one("Figure 5", "TRU: shift of the image table over gold's")
    bare = {k: v for k, v in metrics(0.0).items() if IMAGE_TABLE not in k}
    without = {Reading(): {"full": replace(run("x", forget=0.0), metrics=bare)}}
    assert "no trained image table" in verdict([shift], without).text  # type: ignore[arg-type]


def test_a_diverged_trial_reproduces_nothing() -> None:
    diverged = replace(run("x", forget=0.0), metrics={UNLEARN_SECONDS: 1.0})
    tried: Any = {Reading(): dict.fromkeys(AS_PRINTED, diverged)}
    assert verdict(TABLE_4, tried).text.startswith("not reproducible under any of 1 readings tried")


def test_what_a_backbone_lacks_decides_nothing_beside_a_diverged_trial() -> None:
    bare = {k: v for k, v in metrics(0.0).items() if IMAGE_TABLE not in k}
    shift = one("Figure 5", "TRU: shift of the image table over gold's")
    forgotten = one("Table 1, TRU", "forget recall@20")
    tried: Any = {
        Reading(p=0.1): {"full": replace(run("x", forget=0.0), metrics={UNLEARN_SECONDS: 1.0})},
        Reading(p=0.2): {"full": replace(run("y", forget=0.0), metrics=bare)},
    }
    assert verdict([shift], tried).text.startswith("not testable here: no trial has the figure")
    assert verdict([shift, forgotten], tried).text.endswith("(-, 0); by 1 of 2 readings tried")


def test_rows_are_single_claims_those_of_a_group_and_all() -> None:
    wanted = claims("mgcn", "baby")
    rows = together(wanted)
    assert len(rows) == len(wanted) + 4 + 1
    assert rows["Table 4, together"] == TABLE_4
    assert rows["all of these together"] == wanted
    assert together([]) == {}


# The whole.


def arguments(folder: Path, *more: str) -> list[str]:
    places = [f"cache.dir={folder}/cache", f"tracking.uri=sqlite:///{folder}/mlflow.db"]
    return ["run", *TINY, *places, "backbone=mgcn", "--against", "baby", *more]


def shown(folder: Path, *more: str) -> int:
    return main(["page", "--uri", f"sqlite:///{folder}/mlflow.db", *more])


def test_the_study_goes_on_after_a_kill_and_its_page_comes_from_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attempts: list[Any] = []
    attempt = TrialPipeline.attempt

    def dies_at_the_fifth(self: TrialPipeline, method: Any) -> Trial:
        attempts.append(method.options)
        if len(attempts) == 5:
            raise KeyboardInterrupt
        return attempt(self, method)

    monkeypatch.setattr(TrialPipeline, "attempt", dies_at_the_fifth)
    monkeypatch.setattr("tests.programs.tru_readings.study.modules_of", lambda model: modules_of(model)[:1])
    assert main(arguments(tmp_path, "--budget", "2")) == 130
    assert main(arguments(tmp_path, "--budget", "2")) == 0
    assert attempts[4] == attempts[5], "the trial that was killed runs again"
    count = len(attempts)
    assert len({repr(options) for options in attempts}) == count - 1, "and no other one"
    assert main(arguments(tmp_path, "--budget", "2")) == 0
    assert len(attempts) == count, "a finished study runs nothing"
    assert main(arguments(tmp_path, "--budget", "3")) == 0
    assert len(attempts) > count, "a larger budget runs what it adds"

    capsys.readouterr()
    assert main(arguments(tmp_path, "run.dry=true")) == 0
    assert f"{len(attempts) - 1} trials recorded, 0 models to train" in capsys.readouterr().out
    out = tmp_path / "page.md"
    (setting,) = settings(f"sqlite:///{tmp_path}/mlflow.db", "lethe")
    assert len(setting.runs) == len(attempts) - 1
    assert Reading() in setting.tried
    assert shown(tmp_path, "--against", "baby", "--out", str(out)) == 0
    text = out.read_text()
    assert text == page([setting], "baby")
    places = [text.index(title) for title in ("## Limits", "## Factors", "## Verdicts", "Not testable here:")]
    assert places == sorted(places)
    assert "in Table 4 the gate lowers forget recall by 0.0746" in text
    for name, limit in setting.limits.items():
        assert f"| {name} | {limit.run_id} | {limit.metrics[FORGET_RECALL]:.4f} |" in text
    assert list(setting.limits) == list(limits(["user_embedding"]))
    assert "| all of these together |" in text
    assert shown(tmp_path) == 0
    assert "the paper prints nothing for this data set" in capsys.readouterr().out
    assert shown(tmp_path, "--dataset", "baby") == 1
    for one_trial in trials(f"sqlite:///{tmp_path}/mlflow.db", "lethe"):
        assert not any("test" in name for name in one_trial.metrics)


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (["--budget", "0"], "--budget=0"),
        (["method=mmrecun"], "leave method and regime out"),
        (["regime=item"], "leave method and regime out"),
        (["method.alpha=0.5"], "leave method and regime out"),
        (["backbone=lightgcn"], "method.gate=true"),
    ],
)
def test_what_is_no_setting_of_the_study_is_refused(
    more: list[str], part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(tmp_path, *more)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert part in error
    assert not (tmp_path / "mlflow.db").exists()

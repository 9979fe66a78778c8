"""Tuning: equal budget, validation data only, replayable."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import yaml

from bench.cell import setting as setting_module
from bench.cell.run import run_cell
from bench.config.compose import expand
from bench.config.registry import registry
from bench.config.schema import CONFIG_DIR, Choice
from bench.config.source import code_digest, options_of
from bench.config.space import SearchOption, search_space
from bench.config.tuned import setting_digest, tuned_file
from bench.measure.selection import Figures, Rule, Target
from bench.planning.planner import PlannedCell
from bench.record.names import FORGET_RECALL, VALID_RECALL
from bench.record.store import Store
from bench.tune import run as tune_run
from bench.tune.__main__ import main, prepared
from bench.tune.loop import Step, TuneConfig, Tuning, method_seconds
from bench.tune.record import Trial, recorded_trials, tuning
from bench.tune.suggest import Suggester
from bench.tune.trial import TrialPipeline
from datasets.errors import InputError
from datasets.interactions import RawDataset
from results.runs.frame import cells
from tests.bench.cells import TINY
from tests.bench.tune.places import places, planned
from unlearning.options import MethodOptions

SHARED = {field.name for field in dataclasses.fields(MethodOptions)}


def tunable() -> list[str]:
    """Methods with options of their own."""
    own = {name: dataclasses.fields(options_of("method", name)) for name in registry("method")}
    return sorted(name for name, fields in own.items() if {field.name for field in fields} - SHARED)


# The search space.


@pytest.mark.parametrize("method", tunable())
def test_every_method_with_options_has_a_search_space_that_fits_them(
    method: str, config_dir: str | None
) -> None:
    space = search_space(method, config_dir)
    assert not SHARED & set(space), "the graph choice is part of the setting, not of a method's tuning"


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("nosuch: {kind: int, low: 1, high: 2}", "names nosuch"),
        ("epochs: {kind: int, low: 2, high: 2}", "low below high"),
        ("epochs: {kind: int, low: 1.5, high: 2}", "whole ends"),
        ("epochs: {kind: int, low: -1, high: 2}", "method.epochs=-1"),
        ("epochs: {kind: int, low: 1}", "low below high"),
        ("epochs: {kind: nosuch, low: 1, high: 2}", "search.epochs.kind=nosuch"),
        ("epochs: 3", "needs a kind"),
        ("learning_rate: {kind: log, low: 0, high: 1}", "low above 0"),
        ("learning_rate: {kind: choice, values: [0.1]}", "two or more values"),
        ("learning_rate: {kind: choice, values: [0.1, -1]}", "method.learning_rate=-1"),
        ("", "lists no option"),
    ],
)
def test_a_wrong_search_space_is_one_sentence(content: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "finetune.yaml").write_text(content)
    with pytest.raises(InputError) as caught:
        search_space("finetune", str(tmp_path))
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tune_selects_by_the_defaults_of_the_rule_which_its_file_states() -> None:
    stated = yaml.safe_load((CONFIG_DIR / "tune.yaml").read_text(encoding="utf-8"))
    assert stated == dataclasses.asdict(TuneConfig())
    assert dataclasses.asdict(Rule()).items() <= stated.items()


# Suggestions.

SPACE = {
    "epochs": SearchOption("int", 1, 10),
    "rate": SearchOption("log", 1e-4, 1e-2),
    "share": SearchOption("float", 0, 1),
    "label": SearchOption("choice", values=("a", "b")),
}
DEFAULTS: dict[str, Any] = {"epochs": 5, "rate": None, "share": 7.0, "label": "a"}


def suggested(count: int, seed: int = 0, sampler: Any = "tpe", exploring: int = 10) -> list[dict[str, Any]]:
    suggester, found = Suggester(SPACE, DEFAULTS, sampler, seed), []
    for number in range(count):
        found.append(suggester.ask(explore=number < exploring))
        suggester.tell(abs(found[-1]["share"] - 0.3))
    return found


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_suggestions_start_with_the_defaults_and_can_be_replayed(sampler: str) -> None:
    first = suggested(25, sampler=sampler)
    assert first[0] == DEFAULTS
    assert suggested(25, sampler=sampler) == first
    assert suggested(12, sampler=sampler) == first[:12]
    assert suggested(3, seed=1, sampler=sampler)[1:] != first[1:3]
    for values in first[1:]:
        assert 1 <= values["epochs"] <= 10
        assert 1e-4 <= values["rate"] <= 1e-2
        assert float(f"{values['rate']:.4g}") == values["rate"]


def test_tpe_learns_from_the_losses_and_what_explores_is_random() -> None:
    later = [abs(values["share"] - 0.3) for values in suggested(40)[20:]]
    assert np.median(later) < 0.15
    assert suggested(15, exploring=15) == suggested(15, sampler="random")
    assert suggested(15)[:10] == suggested(10, sampler="random")
    assert suggested(15)[10:] != suggested(15, sampler="random")[10:]


# Budgets: the same for every method, in trials and in seconds of its clock.

AT = Target(Figures(0.4, 0.1), Figures(0.01, 0.01), None)


def tune_of(method: str, config_dir: str | None, **plan: Any) -> Tuning:
    """A tune of which nothing is recorded; nothing is trained for it."""
    (config,) = expand([*TINY, f"method={method}"], multirun=False, config_dir=config_dir)
    return prepared(config, [], TuneConfig(**plan), config_dir)


def spent(tune: Tuning, seconds: float = 1.0, **trial: Any) -> list[Step]:
    """The steps of a tune whose trials are made up: each takes so many seconds of the method's clock."""

    def run(number: int, key: str, method: Choice) -> Trial:
        figures = Figures(0.4, 0.1 + 0.01 * number)
        return Trial(
            figures, seconds + 100.0, seconds, trial.get("offline", 0.0), prepared=trial.get("kept", "")
        )

    return list(tune.steps(AT, run))


@pytest.mark.parametrize("method", tunable())
def test_every_method_has_the_same_budget_of_trials_and_of_seconds(
    method: str, config_dir: str | None
) -> None:
    assert len(spent(tune_of(method, config_dir, budget=6))) == 6
    tune = tune_of(method, config_dir, budget=6, budget_seconds=2.5)
    steps = spent(tune)
    own = [step for step in steps if step.repeats is None]
    assert len(own) == 3 or len(steps) == 6, "none starts once the seconds are spent; repeats take none"
    assert method_seconds(steps) == len(own) <= 3, "of the method's clock, measuring left out"


@pytest.mark.parametrize("method", tunable())
def test_half_of_every_methods_suggestions_are_random(method: str, config_dir: str | None) -> None:
    tpe, random = (
        [step.values for step in spent(tune_of(method, config_dir, budget=20, sampler=sampler))]
        for sampler in ("tpe", "random")
    )
    assert tpe[:10] == random[:10]
    assert tpe[10:] != random[10:]


def test_the_half_is_of_whichever_budget_ends_first() -> None:
    plan = TuneConfig(budget=10, budget_seconds=100.0)
    assert [plan.explores(number, 0.0) for number in range(10)] == [True] * 5 + [False] * 5
    assert [plan.explores(1, seconds) for seconds in (0.0, 49.0, 50.0)] == [True, True, False]
    assert [TuneConfig(budget=3).explores(number, 0.0) for number in range(3)] == [True, True, False]


def test_what_is_prepared_and_kept_takes_its_seconds_once(config_dir: str | None) -> None:
    tune = tune_of("mmrecun", config_dir, budget=3)
    assert method_seconds(spent(tune, offline=10.0, kept="state")) == 13.0
    assert method_seconds(spent(tune, offline=10.0)) == 33.0, "what is not kept is prepared anew"


# Trials.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Path:
    return furnish(tmp_path_factory.mktemp("tune"), template)


def furnish(place: Path, template: Path) -> Path:
    """Give a folder the store and the trained models of another: creating them takes seconds."""
    place.mkdir(exist_ok=True)
    shutil.copy(template / "mlflow.db", place)
    shutil.copytree(template / "cache", place / "cache")
    return place


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("template")
    cell = planned(place)
    Store(dataclasses.replace(cell.config.tracking, experiment="template"))
    TrialPipeline(cell).target(prepared(cell.config, [], TuneConfig()).target_cells, Rule())
    return place


def attempted(cell: PlannedCell) -> Trial:
    return TrialPipeline(cell).attempt(cell.config.method)


def test_a_trial_measures_what_the_cell_measures(folder: Path) -> None:
    cell = planned(folder, "method=mmrecun", "method.epochs=1", "repair=short", "repair.batches=2")
    run = Store(cell.config.tracking).client.get_run(run_cell(cell))
    figures = attempted(cell).figures
    assert figures is not None
    assert figures.valid_recall == run.data.metrics[VALID_RECALL]
    assert figures.forget_recall == run.data.metrics[FORGET_RECALL]


def test_other_test_pairs_change_nothing_and_are_not_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = planned(folder, "method=mmrecun", "method.epochs=1")
    before = attempted(cell).figures
    rule = Rule(target="proxy", valid_unit=0.1, forget_unit=0.1)
    aimed = TrialPipeline(cell).target([cell], rule)
    read = setting_module.read_checked

    def permuted(reader: Any) -> RawDataset:
        raw = read(reader)
        items = np.random.default_rng(1).permutation(raw.test[1])
        return dataclasses.replace(raw, test=np.stack([raw.test[0], items]))

    monkeypatch.setattr(setting_module, "read_checked", permuted)
    pipeline = TrialPipeline(cell)
    assert pipeline.attempt(cell.config.method).figures == before
    assert pipeline.target([cell], rule) == aimed
    for data in (pipeline.setting.full, pipeline.setting.retain):
        assert data.test.shape == (2, 0)


def test_a_trial_leaves_the_next_one_as_if_it_were_the_first(folder: Path) -> None:
    cell = planned(folder, "method=mmrecun", "method.epochs=1")
    pipeline, first = TrialPipeline(cell), attempted(cell).figures
    other = dataclasses.replace(cell.config.method.options, epochs=3, reverse_lr=300.0)
    assert pipeline.attempt(Choice("mmrecun", other)).figures != first
    assert pipeline.attempt(cell.config.method).figures == first


# The command.


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


FAST = ["method=finetune", "budget=4", "method.batches_per_epoch=1"]


def tuned(folder: Path, *overrides: str) -> int:
    return main([*TINY, *places(folder), *FAST, *overrides])


def kinds(folder: Path) -> dict[str, list[str]]:
    """Status of the runs of each kind in the experiment of the trials."""
    config = planned(folder).config
    found: dict[str, list[str]] = {}
    for run in Store(tuning(config.tracking)).runs(""):
        found.setdefault(run.data.tags["lethe.kind"], []).append(run.info.status)
    return found


def test_a_tune_writes_its_choice_and_what_it_cost(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    furnish(tmp_path, template)
    assert tuned(tmp_path) == 0
    shown = capsys.readouterr().out
    assert "oracle tuning: trials of" in shown
    assert "chosen" in shown
    assert "gold" in shown
    cell = planned(tmp_path, "method=finetune")
    config = cell.config
    content = yaml.safe_load(tuned_file(config).read_text())
    assert set(content["method"]) == {"epochs", "learning_rate", "batches_per_epoch"}
    assert content["method"]["batches_per_epoch"] == 1, "what was given stays with what was found"
    source = content["provenance"]
    assert (source["budget"], source["seed"], source["sampler"]) == (4, 0, "tpe")
    assert {"wrecked", "commit", "aim", "unit", "spread", "units"} <= set(source)
    stated = content["tuning"]
    assert (stated["rule"], stated["trials"]) == ("oracle tuning", 4)
    assert (stated["data"], stated["request"]) == (cell.keys.data, cell.keys.request)
    assert stated["code"] == code_digest("method", "finetune")
    assert stated["setting"] == setting_digest(config)
    assert "Oracle tuning." in tuned_file(config).read_text().splitlines()[1]
    assert kinds(tmp_path) == {"tune": ["FINISHED"], "trial": ["FINISHED"] * 4}
    trials = recorded_trials(config.tracking)
    took = [trial.trial for trial in trials.values()]
    assert source["wall_clock_seconds"] == pytest.approx(sum(trial.seconds for trial in took), abs=1e-2)
    assert stated["seconds"] == pytest.approx(sum(trial.unlearn_seconds for trial in took), abs=1e-2)
    assert cells(config.tracking.uri, config.tracking.experiment).empty
    assert cells(config.tracking.uri, tuning(config.tracking).experiment).empty
    (parent,) = Store(tuning(config.tracking)).runs("tags.`lethe.kind` = 'tune'")
    assert parent.data.metrics["tuning/trials"] == 4
    assert parent.data.tags["tuned.rule"] == "oracle tuning"
    assert not any("test" in name for name in parent.data.metrics)
    for found in Store(tuning(config.tracking)).runs("tags.`lethe.kind` = 'trial'"):
        assert not any("test" in name for name in found.data.metrics)
        assert {"device.name", "device.threads"} <= found.data.tags.keys()


def test_a_trial_says_what_ran_and_what_it_cost(template: Path, tmp_path: Path) -> None:
    furnish(tmp_path, template)
    overrides = ["method=mmrecun", "method.form=ascent", "method.repair_batches=1", "budget=1"]
    assert main([*TINY, *places(tmp_path), *overrides]) == 0
    cell = planned(tmp_path, *overrides[:-1])
    (run,) = Store(tuning(cell.config.tracking)).runs("tags.`lethe.kind` = 'trial'")
    assert "form ascent" in run.data.tags["note.reading"]
    whole = Store(cell.config.tracking).client.get_run(run_cell(cell))
    assert run.data.metrics["cost/unlearn_examples"] == whole.data.metrics["cost/unlearn_examples"] > 0


def test_a_killed_tune_goes_on_where_it_was(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = (furnish(tmp_path / name, template) for name in ("whole", "broken"))
    assert tuned(whole) == 0
    attempts: list[Any] = []
    attempt = TrialPipeline.attempt

    def dies_at_the_third(self: TrialPipeline, method: Choice) -> Trial:
        attempts.append(method.options)
        if len(attempts) == 3:
            raise KeyboardInterrupt
        return attempt(self, method)

    monkeypatch.setattr(TrialPipeline, "attempt", dies_at_the_third)
    assert tuned(broken) == 130
    assert kinds(broken) == {"tune": ["KILLED"], "trial": ["FINISHED", "FINISHED", "KILLED"]}
    assert tuned(broken) == 0
    assert len(attempts) == 5, "two trials were found, two were run"
    assert attempts[2] == attempts[3]
    files = [tuned_file(planned(place, "method=finetune").config) for place in (whole, broken)]
    chosen = [yaml.safe_load(file.read_text())["method"] for file in files]
    assert chosen[0] == chosen[1]
    assert tuned(broken, "budget=4", "floor=0.5") == 0
    assert len(attempts) == 5, "trials and target are found again"


def test_the_dry_run_shows_space_and_progress_and_starts_nothing(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tuned(tmp_path, "run.dry=true") == 0
    shown = capsys.readouterr().out
    assert "0 of 4 trials finished" in shown
    assert "1 to 5 (whole)" in shown
    assert "fixed: batches_per_epoch=1" in shown
    assert not (tmp_path / "mlflow.db").exists()
    assert not (tmp_path / "cache" / "models").exists()
    shutil.rmtree(tmp_path / "cache")
    furnish(tmp_path, template)
    assert tuned(tmp_path, "budget_seconds=1e-9") == 0
    capsys.readouterr()
    assert tuned(tmp_path, "run.dry=true") == 0
    shown = capsys.readouterr().out
    assert "oracle tuning of" in shown
    assert "1 of 4 trials finished" in shown
    assert "0 models to train" in shown


def test_diverged_trials_count_and_are_never_chosen(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    furnish(tmp_path, template)
    (tmp_path / "conf" / "search").mkdir(parents=True)
    space = tmp_path / "conf" / "search" / "finetune.yaml"
    space.write_text("learning_rate: {kind: choice, values: [1.0e+30, 1.0e+32]}\n")
    overrides = [*TINY, *places(tmp_path), "--config-dir", str(tmp_path / "conf"), "method=finetune"]
    assert main([*overrides, "budget=3"]) == 0
    assert "diverged" in capsys.readouterr().out
    trials = recorded_trials(planned(tmp_path).config.tracking)
    states = sorted(found.trial.figures is None for found in trials.values())
    assert states in ([False, True], [False, True, True]), "the defaults, and one or two that are too large"
    content = yaml.safe_load(tuned_file(planned(tmp_path, "method=finetune").config).read_text())
    assert content["provenance"]["trial"] == 0
    assert content["provenance"]["diverged"] == 2
    monkeypatch.setattr(tune_run.TrialPipeline, "attempt", lambda *_: Trial(None, 1.0, 1.0, 0.0))
    assert main([*overrides, "budget=2", "seed=1"]) == 1


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["budget=0"], "budget=0"),
        (["sampler=nosuch"], "sampler=nosuch"),
        (["floor=-1"], "floor=-1"),
        (["budget_seconds=0"], "budget_seconds=0"),
        (["target=original"], "target=original"),
        (["target_seeds=4"], "target_seeds=4"),
        (["valid_unit=0.01"], "state both or neither"),
        (["regime.seed=1"], "regime.seed=1 is not tuned on"),
        (["budget=1,2"], "takes one"),
        (["method=reset", "~method.batches_per_epoch"], "method.batches_per_epoch"),
        (["nosuch=1"], "nosuch"),
        (["tuned=true"], "tuned=true"),
        (["method.epochs=1", "method.learning_rate=0.1"], "leave one to search"),
        (["method=tru,mmrecun"], "add -m"),
    ],
)
def test_user_errors_are_one_sentence(
    overrides: list[str], part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tuned(tmp_path, *overrides) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert part in error
    assert error.count("\n") == 1
    assert not (tmp_path / "mlflow.db").exists()


def test_a_method_without_options_has_nothing_to_tune(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TINY, *places(tmp_path), "method=reset"]) == 2
    assert "method=reset has nothing to tune" in capsys.readouterr().err


READINGS = {"mmrecun": {"form", "optimiser"}, "tru": {"form", "optimiser"}, "reverse_tables": {"form"}}
ABLATION = {("tru", "optimiser"): {"adam_grad"}}
"""Values that only show what an ablation is for (docs/methods/tru.md)."""


@pytest.mark.parametrize("method", READINGS)
def test_readings_that_papers_leave_open_are_searched(method: str) -> None:
    space, hints = search_space(method), get_type_hints(options_of("method", method))
    for option in READINGS[method]:
        known = set(get_args(hints[option])) - ABLATION.get((method, option), set())
        assert set(space[option].values) == known

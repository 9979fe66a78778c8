"""Tuning: equal budget, validation data only, replayable; and what it leaves is taken where asked for."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bench.cell import setting as setting_module
from bench.cell.run import run_cell
from bench.config.compose import expand, expand_grid
from bench.config.registry import registry
from bench.config.schema import CONFIG_DIR, Choice
from bench.config.source import options_of
from bench.config.space import SearchOption, search_space
from bench.config.tuned import read_tuned, tuned_file
from bench.measure.selection import DIVERGED_SCORE, Rule
from bench.plan.keys import cell_keys
from bench.plan.planner import PlannedCell, Planner
from bench.record.names import FORGET_RECALL, TUNED_TAG, TUNING_SECONDS_TAG, VALID_RECALL
from bench.record.store import Store
from bench.tune import run as tune_run
from bench.tune.__main__ import main
from bench.tune.loop import TuneConfig
from bench.tune.record import Trial, recorded_trials, tuning
from bench.tune.suggest import Suggester
from bench.tune.trial import TrialPipeline
from datasets.errors import InputError
from datasets.interactions import RawDataset
from results.runs.frame import cells
from tests.bench.cells import TINY
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


def suggested(count: int, seed: int = 0, sampler: Any = "tpe") -> list[dict[str, Any]]:
    suggester, found = Suggester(SPACE, DEFAULTS, sampler, seed), []
    for _ in range(count):
        found.append(suggester.ask())
        suggester.tell(-abs(found[-1]["share"] - 0.3))
    return found


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_suggestions_start_with_the_defaults_and_can_be_replayed(sampler: str) -> None:
    first = suggested(25, sampler=sampler)
    assert first[0] == DEFAULTS
    assert suggested(25, sampler=sampler) == first
    assert suggested(12, sampler=sampler) == first[:12], "a larger budget goes on where a smaller one ended"
    assert suggested(3, seed=1, sampler=sampler)[1:] != first[1:3]
    for values in first[1:]:
        assert 1 <= values["epochs"] <= 10
        assert 1e-4 <= values["rate"] <= 1e-2
        assert float(f"{values['rate']:.4g}") == values["rate"]


def test_tpe_learns_from_the_scores() -> None:
    later = [abs(values["share"] - 0.3) for values in suggested(40)[20:]]
    assert np.median(later) < 0.15


# Trials.


def planned(folder: Path, *overrides: str) -> PlannedCell:
    return Planner().plan(expand([*TINY, *places(folder), *overrides], multirun=False)[0])


def places(folder: Path) -> list[str]:
    return [
        f"cache.dir={folder}/cache",
        f"tracking.uri=sqlite:///{folder}/mlflow.db",
        f"tuned_dir={folder}/tuned",
    ]


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
    TrialPipeline(cell)
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
    read = setting_module.read_checked

    def permuted(reader: Any) -> RawDataset:
        raw = read(reader)
        items = np.random.default_rng(1).permutation(raw.test[1])
        return dataclasses.replace(raw, test=np.stack([raw.test[0], items]))

    monkeypatch.setattr(setting_module, "read_checked", permuted)
    pipeline = TrialPipeline(cell)
    assert pipeline.attempt(cell.config.method).figures == before
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
    assert "chosen" in shown
    assert "gold" in shown
    config = planned(tmp_path, "method=finetune").config
    content = yaml.safe_load(tuned_file(config).read_text())
    assert set(content["method"]) == {"epochs", "learning_rate", "batches_per_epoch"}
    assert content["method"]["batches_per_epoch"] == 1, "what was given stays with what was found"
    source = content["provenance"]
    assert (source["budget"], source["seed"], source["sampler"]) == (4, 0, "tpe")
    assert {"within_tolerance", "commit", "method_code", "gold_forget_recall_at_20"} <= set(source)
    assert kinds(tmp_path) == {"tune": ["FINISHED"], "trial": ["FINISHED"] * 4}
    trials = recorded_trials(config.tracking)
    assert source["seconds"] == pytest.approx(sum(t.trial.seconds for t in trials.values()), abs=1e-2)
    assert cells(config.tracking.uri, config.tracking.experiment).empty
    assert cells(config.tracking.uri, tuning(config.tracking).experiment).empty
    (parent,) = Store(tuning(config.tracking)).runs("tags.`lethe.kind` = 'tune'")
    assert parent.data.metrics["tuning/trials"] == 4
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
    assert tuned(broken, "budget=5") == 0
    assert len(attempts) == 6, "a larger budget runs only what it adds"


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
    assert tuned(tmp_path, "budget=2") == 0
    capsys.readouterr()
    assert tuned(tmp_path, "run.dry=true") == 0
    shown = capsys.readouterr().out
    assert "2 of 4 trials finished" in shown
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
    assert DIVERGED_SCORE < -1


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["budget=0"], "budget=0"),
        (["sampler=nosuch"], "sampler=nosuch"),
        (["above=-1"], "above=-1"),
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


# Taking tuned values.


def leave(folder: Path, method: str, backbone: str = "mgcn", seconds: float = 12.5, **values: Any) -> None:
    """A tuned file, as a tune would leave it."""
    file = folder / "tuned" / "synthetic_tiny" / backbone / "user" / f"{method}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump({"method": values, "provenance": {"seconds": seconds}}))


def test_each_cell_of_a_sweep_takes_the_values_of_its_own_setting(tmp_path: Path) -> None:
    leave(tmp_path, "mmrecun", alpha=0.7, repair_lr=None, form="ascent", reverse_lr=1e-05)
    leave(tmp_path, "finetune", epochs=2, seconds=3.0)
    leave(tmp_path, "finetune", backbone="lightgcn", epochs=9)
    sweep = ["backbone=mgcn,lightgcn", "method=finetune", "tuned=true"]
    configs = expand([*TINY, *places(tmp_path), *sweep], multirun=True)
    assert [config.method.options.epochs for config in configs] == [2, 9]
    assert [config.tuning_seconds for config in configs] == [3.0, 12.5]
    overrides = [*TINY, *places(tmp_path), "method=mmrecun,reset,original", "tuned=true"]
    tuned_one, *others = expand(overrides, multirun=True)
    options = tuned_one.method.options
    assert (options.alpha, options.repair_lr, options.form, options.reverse_lr) == (
        0.7,
        None,
        "ascent",
        1e-05,
    )
    assert [config.tuning_seconds for config in others] == [None, None]
    plain = expand([*overrides[:-1]], multirun=True)
    assert [_cell(config) for config in plain[1:]] == [_cell(config) for config in others]
    assert _cell(plain[0]) != _cell(tuned_one)


def _cell(config: Any) -> str:
    return cell_keys(config, "data", "", "cpu").cell


def test_the_command_line_wins(tmp_path: Path) -> None:
    leave(tmp_path, "mmrecun", alpha=0.7, epochs=3)
    grid = expand_grid(
        [*TINY, *places(tmp_path), "method=mmrecun", "method.alpha=0.1,0.2", "tuned=true"], multirun=True
    )
    assert [config.method.options.alpha for config in grid.configs] == [0.1, 0.2]
    assert [config.method.options.epochs for config in grid.configs] == [3, 3]
    assert grid.tuned == [["method.epochs=3", "tuning_seconds=12.5"]] * 2


@pytest.mark.parametrize("content", [None, "nonsense: [", "method: {epochs: 1}", "[]"])
def test_a_missing_or_damaged_file_names_the_command_that_writes_it(
    content: str | None, tmp_path: Path
) -> None:
    if content is not None:
        leave(tmp_path, "finetune")
        tuned_file(planned(tmp_path, "method=finetune").config).write_text(content)
    with pytest.raises(InputError) as caught:
        expand([*TINY, *places(tmp_path), "method=finetune", "tuned=true"], multirun=False)
    command = "python -m bench.tune dataset=synthetic_tiny backbone=mgcn regime=user method=finetune"
    assert command in str(caught.value)
    assert "\n" not in str(caught.value)


COMMITTED = sorted((CONFIG_DIR / "tuned_options").glob("*/*/*/*.yaml"))


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: "-".join(file.with_suffix("").parts[-4:]))
def test_the_files_of_the_checkout_are_taken(file: Path) -> None:
    """A folder of conf that has the name of a key would make Hydra take the key for a group."""
    dataset, backbone, regime, method = file.with_suffix("").parts[-4:]
    setting = [f"dataset={dataset}", f"backbone={backbone}", f"regime={regime}", f"method={method}"]
    (config,) = expand([*setting, "tuned=true"], multirun=False)
    values = yaml.safe_load(file.read_text(encoding="utf-8"))["method"]
    assert {name: getattr(config.method.options, name) for name in values} == values


def test_an_option_that_is_gone_is_refused(tmp_path: Path) -> None:
    leave(tmp_path, "finetune", epoch=1)
    with pytest.raises(InputError, match=r"finds epoch in .* no option any more"):
        read_tuned(planned(tmp_path, "method=finetune").config)


@pytest.mark.parametrize("multirun", [[], ["-m"]])
def test_a_run_takes_the_values_and_says_so(
    multirun: list[str], template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.cli import main as bench_main

    monkeypatch.chdir(furnish(tmp_path, template))
    leave(tmp_path, "finetune", epochs=1, learning_rate=0.002)
    assert bench_main([*multirun, *TINY, *places(tmp_path), "method=finetune", "tuned=true"]) == 0
    (run,) = Store(planned(tmp_path).config.tracking).runs("tags.`lethe.kind` = 'cell'")
    assert run.data.params["method.learning_rate"] == "0.002"
    assert run.data.params["method.epochs"] == "1"
    assert (run.data.tags[TUNED_TAG], run.data.tags[TUNING_SECONDS_TAG]) == ("true", "12.5")

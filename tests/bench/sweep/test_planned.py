"""The planned sweeper: Hydra's launcher runs what was planned, and what goes wrong is not swallowed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from bench.config.compose import expand, expand_grid
from bench.sweep.launch import JobLauncher, launch
from datasets.errors import InputError
from tests.bench.cells import TINY

RAN: list[str] = []


def note(config: DictConfig) -> str:
    RAN.append(f"{config.method.name} {config.seed}")
    return "done"


class Told(Callback):
    """A callback of a user's own."""

    def on_multirun_start(self, config: DictConfig, **more: Any) -> None:
        RAN.append("start")

    def on_job_end(self, config: DictConfig, **more: Any) -> None:
        RAN.append("job")

    def on_multirun_end(self, config: DictConfig, **more: Any) -> None:
        RAN.append("end")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    RAN.clear()
    handlers, level = list(logging.root.handlers), logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    assert not GlobalHydra.instance().is_initialized()


def test_exactly_the_jobs_that_are_asked_for_run_batch_by_batch() -> None:
    def start(launcher: JobLauncher) -> None:
        assert launcher.run([])
        assert launcher.run([["method=tru", "seed=1"]])
        assert launcher.run([["method=reset", "seed=2"], ["method=tru", "seed=3"]])

    launch([*TINY, "seed=7"], note, start)
    assert RAN == ["tru 1", "reset 2", "tru 3"]
    assert sorted(path.name for path in Path("multirun").glob("*/*/*")) == ["0", "1", "2"]


def test_callbacks_of_hydras_are_told() -> None:
    told = f"hydra.callbacks={{mine: {{_target_: {__name__}.Told}}}}"
    launch([*TINY, f"+{told}"], note, lambda launcher: launcher.run([["seed=1"]]) and None)
    assert RAN == ["start", "tru 1", "job", "end"]


@pytest.mark.parametrize("error", [InputError("no cluster"), OSError(28, "No space left")])
def test_what_goes_wrong_between_the_jobs_is_raised(error: Exception) -> None:
    def start(launcher: JobLauncher) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        launch(TINY, note, start)
    assert caught.value is error


def test_a_launcher_that_cannot_be_set_up_is_no_silent_end() -> None:
    with pytest.raises(Exception, match="no_such_option"):
        launch([*TINY, "launch=ray", "+hydra.launcher.no_such_option=1"], note, print)


def test_a_sweep_that_does_not_compose_is_no_silent_end(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="exit code 1"):
        launch([*TINY, "hydra/launcher=no_such"], note, print)
    assert "no_such" in capfd.readouterr().err


def test_another_sweeper_is_refused_because_it_would_not_plan() -> None:
    with pytest.raises(InputError, match=r"hydra/sweeper .* leave it out"):
        expand([*TINY, "hydra/sweeper=basic"], multirun=True)


def test_an_interval_names_no_cells() -> None:
    with pytest.raises(InputError, match=r"seed=interval\(0, *1\) names no single values"):
        expand_grid([*TINY, "seed=interval(0,1)"], multirun=True)

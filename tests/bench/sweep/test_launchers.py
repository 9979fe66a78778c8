"""The launchers beside serial and local: each runs a small sweep, or is refused in one sentence."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from bench.cli import main
from bench.config.compose import expand
from bench.planning.planner import Planner
from bench.sweep import launch
from bench.sweep.launch import check_launcher, model_jobs
from datasets.errors import InputError
from tests.bench.cells import TINY, finished, leftovers, statuses
from tests.bench.faulty import install
from tests.bench.warm import bench

SWEEP = ("-m", "method=original,retrain,graph_only")


def has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


needs_submitit = pytest.mark.skipif(not has("submitit"), reason="needs pip install -e '.[slurm]'")
needs_ray = pytest.mark.skipif(not has("ray"), reason="needs pip install -e '.[ray]'")


@needs_submitit
def test_the_slurm_path_runs_on_submitits_local_executor(tmp_path: Path) -> None:
    done = bench(tmp_path, *SWEEP, "launch=slurm_local", "launch.jobs=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert finished(done) == 3
    assert len(list((tmp_path / "cache" / "models").iterdir())) == 2
    assert leftovers(tmp_path) == []


@needs_ray
def test_ray_runs_cells_and_replaces_a_lost_worker(tmp_path: Path) -> None:
    plugins = install(tmp_path)
    sweep = (*plugins, "-m", "method=original,crash,graph_only", "launch=ray", "launch.total_cpus=2")
    done = bench(tmp_path, *sweep)
    assert done.returncode == 0, done.stdout + done.stderr
    assert finished(done) == 3
    assert len(set((tmp_path / "crashed").read_text().split())) == 2
    assert ("crash", "KILLED") in statuses(tmp_path)
    assert leftovers(tmp_path) == []


@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_an_address_where_no_cluster_is_is_refused(address: str, tmp_path: Path) -> None:
    done = bench(tmp_path, *SWEEP, "launch=ray", f"launch.address={address}")
    assert done.returncode == 2, done.stderr
    assert f"launch.address={address}" in done.stderr


def test_ray_without_its_package_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (config,) = expand([*TINY, "launch=ray"], multirun=False)
    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"launch=ray needs the package ray: .*\.\[ray\]"):
        check_launcher(config)


@pytest.mark.skipif(has("submitit"), reason="the package is installed")
def test_slurm_without_its_package_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "launch=slurm"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "hydra-submitit-launcher" in error


@needs_submitit
def test_slurm_without_srun_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch.shutil, "which", lambda name: None)
    assert main([*TINY, "launch=slurm"]) == 2
    assert "no srun" in capsys.readouterr().err


def test_a_cell_without_a_gpu_lease_cannot_ask_for_cuda() -> None:
    (config,) = expand([*TINY, "launch=ray", "device=cuda"], multirun=False)
    with pytest.raises(InputError, match=r"launch\.gpus"):
        launch.check_launcher(config)


def test_each_missing_model_is_one_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    planner = Planner()
    overrides = ["method=original,retrain,tru", "regime=user,item"]
    cells = [planner.plan(config) for config in expand([*TINY, *overrides], multirun=True)]
    jobs = [[cell.config.label] for cell in cells]
    stages = [job[-1] for job in model_jobs(cells, jobs)]
    assert stages == ["run.stage=original", "run.stage=gold", "run.stage=gold"]
    (tmp_path / "cache" / "models" / cells[0].keys.original).mkdir(parents=True)
    assert [job[-1] for job in model_jobs(cells, jobs)] == ["run.stage=gold"] * 2

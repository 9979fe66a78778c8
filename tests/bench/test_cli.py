"""The command line as its users meet it: exit codes, one-sentence errors, resume, speed of the light path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import main
from tests.bench import cells
from tests.bench.cells import ROOT, TINY, finished
from tests.bench.warm import bench

SENTENCES = [
    (["method.alpha=2"], "method.alpha=2"),
    (["regime.ratio=1.5"], "regime.ratio=1.5"),
    (["regime.count=100000"], "regime.count=100000"),
    (["regime.file=nowhere.csv"], "regime.file=nowhere.csv"),
    (["dataset=baby", "data_root=nowhere"], "nowhere"),
    (["backbone.modalities=[smell]"], "smell"),
    (["device=toaster"], "device=toaster"),
    (["backbone=lightgcn", "method=tru"], "method.gate"),
]


@pytest.mark.parametrize("dry", ["false", "true"])
@pytest.mark.parametrize(("overrides", "part"), SENTENCES)
def test_user_errors_are_one_sentence_and_exit_code_2_and_refused_by_the_dry_run(
    overrides: list[str],
    part: str,
    dry: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*TINY, *overrides, f"run.dry={dry}"]) == 2
    error = capsys.readouterr().err
    assert part in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "cache" / "models").exists()


def test_a_multimodal_backbone_needs_content(tmp_path: Path) -> None:
    (tmp_path / "sports").mkdir()
    rows = [
        f"{user}\t{item}\t{label}" for user in range(4) for item, label in ((user, 0), (user + 1, 1), (9, 2))
    ]
    (tmp_path / "sports" / "sports.inter").write_text("\n".join(["userID\titemID\tx_label", *rows]))
    refused = bench(tmp_path, "dataset=sports", "backbone=mgcn", f"data_root={tmp_path}")
    assert refused.returncode == 2
    assert "backbone=mgcn needs item content but dataset=sports has no item content" in refused.stderr
    plan = ("dataset=sports", "backbone=lightgcn", "method=original", "regime.count=1", "run.dry=true")
    assert bench(tmp_path, *plan, f"data_root={tmp_path}").returncode == 0


def test_one_bad_cell_stops_a_sweep_before_anything_starts(tmp_path: Path) -> None:
    done = bench(tmp_path, "-m", "method=tru,finetune", "backbone=mgcn,lightgcn")
    assert done.returncode == 2
    assert "method.gate" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "mlflow.db").exists()


def written_models(folder: Path) -> dict[Path, int]:
    """When each model of the cache was written."""
    return {path: path.stat().st_mtime_ns for path in (folder / "cache" / "models").rglob("*.safetensors")}


def test_a_sweep_runs_once_and_is_found_finished_afterwards(tmp_path: Path) -> None:
    sweep = ("-m", "method=original,retrain,graph_only")
    first = bench(tmp_path, *sweep)
    assert first.returncode == 0, first.stderr
    assert finished(first) == 3
    assert "recall@20" in first.stdout
    weights = written_models(tmp_path)
    assert len(weights) == 2
    again = bench(tmp_path, *sweep)
    assert again.returncode == 0
    assert again.stdout.count("finished before") == 3
    assert "trained in" not in again.stderr + again.stdout
    assert written_models(tmp_path) == weights
    plan = bench(tmp_path, *sweep, "seed=0,1", "run.dry=true")
    assert "3 cells to run, 2 models to train" in plan.stdout
    forced = bench(tmp_path, *sweep, "run.mode=always")
    assert finished(forced) == 3


def test_a_failing_cell_is_recorded_and_does_not_stop_the_others(tmp_path: Path) -> None:
    done = bench(tmp_path, "-m", "method=finetune,original", "train.learning_rate=1e30")
    assert done.returncode == 1
    assert "failed: synthetic_tiny/mgcn/user/finetune/0: TrainingDiverged" in done.stdout
    assert "TrainingDiverged" in done.stderr + done.stdout


def test_parallel_sweep_on_an_empty_folder_loses_no_cell(tmp_path: Path) -> None:
    sweep = ("-m", "method=original,retrain,graph_only,reset", "launch=local", "launch.jobs=2")
    done = cells.bench(tmp_path, *sweep)  # from a cold start, as the first command of a user
    assert done.returncode == 0, done.stderr
    assert finished(done) == 4


@pytest.mark.parametrize("arguments", [["--help"], ["--cfg", "job"], ["method.alpha=2"]])
def test_the_light_path_imports_neither_torch_nor_mlflow(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from bench.cli import main; code = main(sys.argv[1:]);"
        "heavy = {'torch', 'mlflow', 'torch_geometric', 'pandas'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *TINY, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "imported" not in done.stderr
    assert done.returncode == (2 if "method.alpha=2" in arguments else 0), done.stderr

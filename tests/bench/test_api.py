"""``bench.run``, ``plan`` and ``load``, and the export of a cell; docs/python.md is run as a program."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch

import bench
import results
from bench.__main__ import export
from datasets.errors import InputError
from tests.bench.cells import ROOT, environment
from tests.test_docs import code_blocks

PAGE = ROOT / "docs" / "python.md"
SMALL = ("train.max_epochs=2", "run.threads=1", "run.deterministic=true")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty working folder."""
    place = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield place


@pytest.fixture(scope="module")
def cells(folder: Path) -> pd.DataFrame:
    """The cells of one small sweep in it."""
    return sweep()


def sweep(*more: str) -> pd.DataFrame:
    """Gold of two seeds, a method that serves its backbone, and one that serves an ensemble."""
    settings = {"dataset": "synthetic_tiny", "backbone": "bpr", "audit": "none"}
    bench.run(*SMALL, *more, method="retrain", seed=range(2), **settings)
    return bench.run(*SMALL, *more, "run.save_model=true", method=["finetune", "ultrare"], **settings)


def test_the_program_of_the_page_runs(tmp_path: Path) -> None:
    program = "\n".join(code_blocks(PAGE, "python"))
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**environment(tmp_path), "PYTHONWARNINGS": "error::DeprecationWarning:__main__"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "epochs=2  to run" in " ".join(done.stdout.split()).replace("to run", " to run")
    assert "torch.Size([200, 64]) torch.Size([120, 64])" in done.stdout


def test_importing_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, bench, results; print(sorted({'torch', 'mlflow', 'pandas', 'hydra'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_second_call_gives_the_same_frame_and_trains_nothing(folder: Path, cells: pd.DataFrame) -> None:
    first, models = cells, sorted((folder / "cache" / "models").iterdir())
    again = sweep()
    pd.testing.assert_frame_equal(first, again)
    assert sorted((folder / "cache" / "models").iterdir()) == models
    assert list(first.state) == ["finished", "finished"]
    assert first["method.epochs"].notna().tolist() == [True, False], "UltraRE has no such option"


def test_all_cells_of_the_store_are_in_one_frame(cells: pd.DataFrame) -> None:
    every = results.cells()
    assert list(every.method) == ["finetune", "retrain", "retrain", "ultrare"]
    assert set(every.variant) == {"train.max_epochs=2"}
    joined = every.merge(cells, on="run_id", suffixes=("", "_own"))
    assert len(joined) == len(cells)
    assert (joined["test/recall_at_20"] == joined["test/recall_at_20_own"]).all()


def test_a_plan_starts_nothing(cells: pd.DataFrame) -> None:
    before = len(results.cells())
    plan = bench.plan(
        *SMALL, dataset="synthetic_tiny", backbone="bpr", method="scrub", audit="none", seed=[0, 9]
    )
    assert list(plan.state) == ["to run", "to run"]
    assert plan.original.tolist() == [True, False]
    assert len(results.cells()) == before


def test_a_setting_that_does_not_fit_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"method=nobody is not known"):
        bench.plan(method="nobody")
    with pytest.raises(InputError, match=r"method\.epochs"):
        bench.run("method.epochs=-1", method="finetune")


def test_a_kept_model_is_the_one_that_was_measured(cells: pd.DataFrame) -> None:
    saved = bench.load(cells.run_id.iloc[0])
    model = saved.backbone()
    users = torch.arange(200)
    torch.testing.assert_close(saved.scores(users), model.scores(users).detach())
    top = saved.top_items(20)
    run = results.cells().set_index("run_id").loc[saved.run_id]
    assert recall_of(top, saved) == pytest.approx(run["test/recall_at_20"])


def recall_of(top: torch.Tensor, saved: bench.api.SavedModel) -> float:
    """Recall@20 of the test pairs of users who stay, counted one by one."""
    full, retain = saved._data()
    gone = set(full.train[0].tolist()) - set(retain.train[0].tolist())
    targets: dict[int, set[int]] = {}
    for user, item in full.test.t().tolist():
        if user not in gone:
            targets.setdefault(user, set()).add(item)
    found = [len(own & set(top[user].tolist())) / len(own) for user, own in targets.items()]
    return sum(found) / len(found)


def test_an_ensemble_is_kept_and_says_what_it_is(cells: pd.DataFrame) -> None:
    saved = bench.load(cells.run_id.iloc[1])
    assert saved.model_class == "ShardEnsemble"
    assert saved.top_items(3).shape == (200, 3)
    with pytest.raises(InputError, match="keeps a ShardEnsemble of method ultrare"):
        saved.backbone()


def test_a_run_without_a_model_says_how_to_keep_one(cells: pd.DataFrame) -> None:
    gold = results.cells().query("method == 'retrain'").run_id.iloc[0]
    with pytest.raises(InputError, match=r"run\.save_model=true"):
        bench.load(gold)
    with pytest.raises(InputError, match="there is no run nobody"):
        bench.load("nobody")


def test_a_finished_cell_is_due_again_for_its_model(cells: pd.DataFrame) -> None:
    settings = {"dataset": "synthetic_tiny", "backbone": "bpr", "audit": "none", "method": "retrain"}
    assert list(bench.plan(*SMALL, **settings).state) == ["finished"]
    assert list(bench.plan(*SMALL, "run.save_model=true", **settings).state) == ["to run"]


def test_the_owner_of_a_request_gets_a_report_a_model_and_lists(folder: Path, cells: pd.DataFrame) -> None:
    run_id = cells.run_id.iloc[0]
    assert export([run_id[:12], "--out", "owner", "--top", "3"]) == 0
    out = folder / "owner"
    facts = json.loads((out / "report.json").read_text())
    assert facts["request"]["counts"] == {"users": 10, "items": 0, "pairs": len(facts["request"]["pairs"])}
    assert {pair[0] for pair in facts["request"]["pairs"]} == set(facts["request"]["users"])
    assert facts["distance_to_gold"]["over"] == "1 request x 1 seed"
    gold = results.cells().query("method == 'retrain' and seed == 0").iloc[0]
    assert facts["recall_at_20"]["forgotten pairs"]["gold"] == gold["forget/recall_at_20"]
    page = (out / "report.md").read_text()
    assert f"{gold['forget/recall_at_20']:,.4f}" in page
    assert "Finetune on BPR" in page or "finetune on BPR" in page
    lists = pd.read_csv(out / "top_items.csv")
    assert lists.groupby("user").size().eq(3).all()
    assert (out / "model" / "weights.safetensors").is_file()


def test_an_export_writes_over_nothing_and_knows_its_runs(
    folder: Path, cells: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "full").mkdir()
    (folder / "full" / "mine.txt").write_text("kept")
    assert export([cells.run_id.iloc[0], "--out", "full"]) == 2
    assert "is there and not empty" in capsys.readouterr().err
    assert [path.name for path in (folder / "full").iterdir()] == ["mine.txt"]
    assert export(["nobody"]) == 2
    assert "there is no such finished cell" in capsys.readouterr().err

"""One cell from left to right, in process."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cell.run import run_cell
from bench.cell.unlearn import UnlearningDiverged
from bench.config.compose import expand
from bench.plan.planner import PlannedCell, Planner
from bench.record.names import FORGET_RECALL, SPEEDUP, TEST_RECALL
from bench.record.store import Store
from datasets.errors import InputError
from tests.bench.cells import TINY


def planned(folder: Path, *overrides: str) -> PlannedCell:
    places = [f"cache.dir={folder}/cache", f"tracking.uri=sqlite:///{folder}/mlflow.db"]
    return Planner().plan(expand([*TINY, *places, *overrides], multirun=False)[0])


def test_what_a_run_holds(tmp_path: Path) -> None:
    cell = planned(tmp_path, "method=mmrecun", "method.epochs=2", "audit=standard", "regime.ratio=0.3")
    store = Store(cell.config.tracking)
    run = store.client.get_run(run_cell(cell))
    assert run.info.status == "FINISHED"
    assert {
        TEST_RECALL,
        FORGET_RECALL,
        SPEEDUP,
        "time/warmup_seconds",
        "audit/membership/balanced_accuracy",
    } <= (run.data.metrics.keys())
    assert run.data.params["method.alpha"] == "0.2"
    assert run.data.params["regime.ratio"] == "0.3"
    assert run.data.tags["lethe.gold_key"] == cell.keys.gold
    assert {"version.torch", "lethe.commit", "device.name", "device.threads"} <= run.data.tags.keys()
    curve = store.client.get_metric_history(run.info.run_id, f"curve/unlearn/{FORGET_RECALL}")
    assert [point.step for point in curve] == [1, 2]
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.digest == cell.keys.data
    assert '"num_users": 200' in dataset.dataset.profile
    names = {file.path for file in store.client.list_artifacts(run.info.run_id)}
    assert names == {"audits.safetensors", "per_user.safetensors", "trajectory.json"}


def test_gold_and_original_are_their_own_yardstick(tmp_path: Path) -> None:
    metrics = {}
    for method in ("original", "retrain"):
        cell = planned(tmp_path, f"method={method}")
        metrics[method] = Store(cell.config.tracking).client.get_run(run_cell(cell)).data.metrics
    assert metrics["retrain"]["gold_distance/overlap_at_20"] == 1.0
    assert metrics["retrain"][SPEEDUP] == 1.0
    assert SPEEDUP not in metrics["original"], "nothing was unlearned, so there is nothing to speed up"


def test_weights_that_are_not_numbers_fail_the_cell(tmp_path: Path) -> None:
    cell = planned(tmp_path, "method=mmrecun", "method.reverse_lr=1e30", "method.epochs=3")
    with pytest.raises(UnlearningDiverged):
        run_cell(cell)
    (run,) = Store(cell.config.tracking).runs("attributes.status = 'FAILED'")
    assert "UnlearningDiverged" in run.data.tags["lethe.failure"]
    assert TEST_RECALL not in run.data.metrics


def test_without_a_request_one_model_is_trained_and_measured(tmp_path: Path) -> None:
    cell = planned(tmp_path, "method=original", "regime=none")
    assert cell.keys.gold == cell.keys.original
    metrics = Store(cell.config.tracking).client.get_run(run_cell(cell)).data.metrics
    assert len(list((tmp_path / "cache" / "models").iterdir())) == 1
    assert metrics[TEST_RECALL] == metrics["test_all_users/recall_at_20"]
    assert FORGET_RECALL not in metrics


@pytest.mark.parametrize("given", ["method=tru", "regime.ratio=0.1", "audit=standard"])
def test_what_does_not_go_with_the_regime_none(tmp_path: Path, given: str) -> None:
    with pytest.raises(InputError, match=r"regime=none|regime\.ratio=0\.1"):
        planned(tmp_path, "method=original", "regime=none", given)

"""One cell from left to right, in process."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from bench.cell.pipeline import CellPipeline
from bench.cell.run import run_cell
from bench.cell.unlearn import UnlearningDiverged
from bench.config.compose import expand
from bench.measure.lists import LISTS_FILE
from bench.planning.planner import PlannedCell, Planner
from bench.record.names import FORGET_RECALL, HEADLINES, REQUEST_FILE, SPEEDUP, TEST_RECALL
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
        "time/speedup",
        "time/processor_share",
        "time/contended",
        "train/gold_processor_share",
        "cost/unlearn_steps",
        "cost/unlearn_propagations",
        "cost/gold_steps",
        "cost/gold_propagations",
        "test_withdrawn/pairs",
        "test_withdrawn/users_without_targets",
        "test_cold/users",
        "data/users_without_train",
        "data/test_of_cold_users",
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
    arrays = {"audits.safetensors", LISTS_FILE, "per_user.safetensors", REQUEST_FILE}
    assert names == {*arrays, "trajectory.json"}
    asked = load_file(store.client.download_artifacts(run.info.run_id, REQUEST_FILE, str(tmp_path)))
    assert asked["forget"].shape[1] == run.data.metrics["request/pairs"]
    lists = load_file(store.client.download_artifacts(run.info.run_id, LISTS_FILE, str(tmp_path)))
    assert lists["users"].tolist() == list(range(200)), "fewer users than evaluate.lists: all of them"
    assert (lists["items"].shape, lists["group"].shape) == ((200, 20), (200,))
    assert not [name for name in HEADLINES if "distance" in name]


def test_cells_of_one_data_set_store_the_lists_of_the_same_users(tmp_path: Path) -> None:
    kept = []
    for number, overrides in enumerate((["method=original"], ["method=reset", "seed=1"], ["regime=item"])):
        cell = planned(tmp_path, "method=graph_only", "evaluate.lists=60", *overrides)
        lists = CellPipeline(cell).run().measured.lists
        kept.append((lists["users"].tolist(), lists["items"].tolist()))
        assert len(lists["users"]) == 60, number
    users, items = zip(*kept, strict=True)
    assert users[0] == users[1] == users[2]
    assert items[0] != items[1] != items[2]


def test_gold_and_original_are_their_own_yardstick(tmp_path: Path) -> None:
    metrics = {}
    for method in ("original", "retrain"):
        cell = planned(tmp_path, f"method={method}")
        metrics[method] = Store(cell.config.tracking).client.get_run(run_cell(cell)).data.metrics
    assert metrics["retrain"]["gold_distance_same_seed/overlap_at_20"] == 1.0
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


def test_without_a_request_shards_are_trained_once_and_measured(tmp_path: Path) -> None:
    """Whatever serves before any request: its figures are those of shards without a deletion."""
    cell = planned(tmp_path, "method=receraser", "method.shards=2", "regime=none", "backbone=bpr")
    run = Store(cell.config.tracking).client.get_run(run_cell(cell))
    assert len(list((tmp_path / "cache" / "models").iterdir())) == 3
    assert run.data.tags["note.touched_shards"] == "0"
    assert run.data.metrics[TEST_RECALL] == run.data.metrics["test_all_users/recall_at_20"]
    assert {FORGET_RECALL, SPEEDUP}.isdisjoint(run.data.metrics)


@pytest.mark.parametrize("given", ["method=tru", "regime.ratio=0.1", "audit=standard"])
def test_what_does_not_go_with_the_regime_none(tmp_path: Path, given: str) -> None:
    with pytest.raises(InputError, match=r"regime=none|regime\.ratio=0\.1"):
        planned(tmp_path, "method=original", "regime=none", given)

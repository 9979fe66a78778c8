"""What a sweep knows before it starts: the record of earlier runs, the cost, the composed cells."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hydra import initialize_config_dir

from bench.config.compose import CONFIG_DIR, _compose, _Composer, expand, plain
from bench.config.schema import CellConfig
from bench.machine.hardware import processor_name
from bench.planning.dry import Estimator, readable
from bench.planning.planner import PlannedCell, Planner
from bench.record.finished import Record
from bench.record.store import Store
from tests.bench.cells import TINY

CELLS = [
    [],
    ["seed=3", "method=tru", "method.alpha=0.5"],
    ["method.alpha=0.5", "method=tru", "backbone=lightgcn", "method.gate=false", "dataset=sports"],
    ["launch=local", "launch.jobs=2", "regime=item", "regime.ratio=0.1", "train.lr_decay=0.5"],
    ["dataset=baby", "backbone=mgcn", "backbone.cl_weight=0.1"],
    ["+dataset.modalities.audio={dim: 3, noise: 1.0}", "device=cpu"],
    ["~dataset.modalities.image"],
]


def test_composing_once_per_choice_gives_what_hydra_gives() -> None:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3", job_name="bench"):
        composer = _Composer(None)
        for cell in [*CELLS, *reversed(CELLS)]:
            assert plain(composer.compose(cell)) == plain(_compose(cell, with_hydra=False)), cell


@pytest.mark.parametrize(
    ("ended", "finished", "failed"),
    [
        (["FINISHED"], "0", None),
        (["FAILED"], None, "cause 0"),
        (["FAILED", "KILLED"], None, None),
        (["KILLED", "FAILED"], None, "cause 1"),
        (["FAILED", "FINISHED"], "1", None),
        (["FINISHED", "FAILED"], "0", None),
        (["FINISHED", "FINISHED"], "1", None),
    ],
)
def test_the_record_of_a_cell(ended: list[str], finished: str | None, failed: str | None) -> None:
    record = Record.of(("key", str(n), status, f"cause {n}") for n, status in enumerate(ended))
    assert (record.finished.get("key"), record.failed.get("key")) == (finished, failed)


def past(store: Store, status: str = "FINISHED", **changes: str) -> str:
    tags = {
        "lethe.kind": "cell",
        "lethe.cell_key": changes.pop("key", "some cell"),
        "dataset": "synthetic_tiny",
        "backbone": "mgcn",
        "method": "finetune",
        "device.type": "cpu",
        "device.name": processor_name(),
    }
    run_id = store.start("cell", {**tags, **changes})
    metrics = {"train/original_seconds": 100.0, "train/gold_seconds": 80.0, "time/unlearn_seconds": 7.0}
    store.log(run_id, metrics=metrics)
    store.client.set_terminated(run_id, status)
    return run_id


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[PlannedCell], Store]:
    monkeypatch.chdir(tmp_path)
    overrides = [
        *TINY,
        "method=finetune,reset",
        f"tracking.uri=sqlite:///{tmp_path}/runs.db",
        "launch.jobs=2",
    ]
    planner = Planner()
    cells = [planner.plan(config) for config in expand(overrides, multirun=True)]
    return cells, Store(cells[0].config.tracking)


def estimate(cells: list[PlannedCell], config: CellConfig | None = None) -> str:
    missing = {key: cell for cell in cells for key in cell.model_keys().values()}
    return readable(Estimator(config or cells[0].config).total(cells, missing))


def test_the_estimate_takes_medians_of_like_with_like(planned: tuple[list[PlannedCell], Store]) -> None:
    cells, store = planned
    assert "unknown, there are no past runs" in estimate(cells)
    past(store)
    past(store, dataset="baby")
    past(store, **{"device.name": "another processor"})
    past(store, status="FAILED")
    text = estimate(cells)
    assert "0:03:07 of training and unlearning" in text  # two models at 90 s, one known method at 7 s
    assert "0:01:34 with 2 jobs" in text
    assert "unknown for 1 cells" in text


def test_the_estimate_is_from_cells_alone_also_through_mlflow(
    planned: tuple[list[PlannedCell], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    cells, store = planned
    past(store)
    trial = past(store, status="RUNNING", **{"lethe.kind": "trial"})
    store.log(trial, metrics={"time/unlearn_seconds": 700.0})
    store.finish(trial)
    direct = estimate(cells)
    assert "0:03:07 of training and unlearning" in direct
    monkeypatch.setattr("bench.record.local.database.is_local", lambda uri: False)
    assert estimate(cells) == direct


def test_a_failed_cell_is_due_only_when_asked(planned: tuple[list[PlannedCell], Store]) -> None:
    cells, store = planned
    store.fail(past(store, status="RUNNING", key=cells[0].keys.cell), ValueError("no"))
    cell = Planner(one=True).plan(cells[0].config)
    assert cell.failure == "ValueError: no"
    assert not cell.is_due()
    run = dataclasses.replace(cell.config.run, retry_failed=True)
    assert dataclasses.replace(cell, config=dataclasses.replace(cell.config, run=run)).is_due()

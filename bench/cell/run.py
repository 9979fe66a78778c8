"""Running one cell and recording it: one MLflow run, finished only when everything is in it."""

from __future__ import annotations

import dataclasses
import logging

import torch
from mlflow.exceptions import MlflowException

from bench.cell.pipeline import CellPipeline, CellResult
from bench.cell.saved import save
from bench.cell.setting import Role, SettingStage
from bench.config.schema import CellConfig
from bench.disk.space import is_disk_full, require_space
from bench.machine.devices import describe
from bench.machine.process import differing_products
from bench.machine.seeding import deterministic
from bench.measure.lists import LISTS_FILE
from bench.plan.code import code_of
from bench.plan.dataset import reader_of
from bench.plan.planner import PlannedCell
from bench.record.names import (
    CELL_KEY_TAG,
    CODE_TAG,
    HEADLINES,
    KIND_TAG,
    NOT_APPLICABLE_TAG,
    REQUEST_FILE,
    THREAD_INVARIANT_TAG,
    TUNED_TAG,
    TUNING_SECONDS_TAG,
)
from bench.record.parameters import parameters
from bench.record.progress import phase, reporting
from bench.record.store import Store
from bench.train.record import TrainingRecord
from datasets.validation import DataSummary

log = logging.getLogger(__name__)

COLD_COUNTS = (
    *("users_without_train", "items_without_train"),
    *("valid_of_cold_users", "test_of_cold_users", "valid_of_cold_items", "test_of_cold_items"),
)
"""Of the data set, logged with every cell: docs/protocol.md."""


def run_cell(cell: PlannedCell) -> str:
    """Run a planned cell and record it. Returns the MLflow run id.

    Whatever is raised on the way marks the run as failed (or killed, where the cell is not to blame),
    with its cause and stack, and goes on.
    """
    config = cell.config
    store = Store(config.tracking)
    if config.tracking.parent is not None:
        store.close_replaced(config.tracking.parent, cell.keys.cell)
    run_id = store.start(config.label, _tags(cell))
    try:
        with store.heartbeat(run_id), reporting(config.label, config.cache.dir / "progress"):
            require_space(config.cache.dir)
            pipeline = CellPipeline(cell)
            device = dataclasses.asdict(describe(pipeline.setting.device))
            tags = {f"device.{key}": str(value) for key, value in device.items()}
            tags |= _promise(config)
            store.log(run_id, params=parameters(config), tags=tags)
            _log_dataset(store, run_id, cell)
            result = pipeline.run()
            phase("recording")
            _record(store, run_id, result, cell.summary)
            if config.run.save_model:
                save(store, run_id, config, result.model)
        store.finish(run_id)
    except BaseException as error:
        _record_failure(store, run_id, error)
        raise
    log.info("finished %s", config.label)
    return run_id


def train_model(cell: PlannedCell) -> None:
    """Train the model that ``run.stage`` names, if it is not in the cache yet. Records nothing in MLflow."""
    config = cell.config
    role: Role = "original" if config.run.stage == "original" else "gold"
    label = f"{config.data_name}/{config.backbone.name}/{role}/seed {config.seed}"
    with reporting(label, config.cache.dir / "progress"):
        require_space(config.cache.dir)
        with deterministic(config.run.deterministic):
            SettingStage(cell).train(role)


def _promise(config: CellConfig) -> dict[str, str]:
    """Whether equal bits for any number of threads were to be had where this cell ran, as a tag."""
    if not config.run.deterministic:
        return {}
    differing = differing_products()
    if differing:
        log.warning(
            "run.deterministic=true: here bits depend on the number of threads in dense products of %s",
            "; ".join(differing),
        )
    return {THREAD_INVARIANT_TAG: f"but for {'; '.join(differing)}" if differing else "yes"}


def _record_failure(store: Store, run_id: str, error: BaseException) -> None:
    blameless = isinstance(error, KeyboardInterrupt | SystemExit) or is_disk_full(error)
    try:
        store.fail(run_id, error, "KILLED" if blameless else "FAILED")
    except (MlflowException, OSError) as second:
        log.warning("the failure of run %s could not be recorded: %s", run_id, second)


def _log_dataset(store: Store, run_id: str, cell: PlannedCell) -> None:
    dataset, reader = cell.config.dataset, reader_of(cell.config)
    source = "synthetic" if dataset.reader == "synthetic" else str(cell.config.data_root / dataset.name)
    source = getattr(dataset.options, "path", None) or source
    profile = {**dataclasses.asdict(cell.summary), "identity": reader.identity()}
    store.log_dataset(run_id, dataset.name, cell.keys.data, source, profile)
    store.log_files(run_id, reader.documents(), "dataset")


def setting_tags(cell: PlannedCell) -> dict[str, str]:
    """The cell's labels, and the keys of the stages before the cell's own."""
    config = cell.config
    tags = {
        f"lethe.{stage}_key": key for stage, key in dataclasses.asdict(cell.keys).items() if stage != "cell"
    }
    return tags | {
        "dataset": config.data_name,
        "backbone": config.backbone.name,
        "regime": config.regime.name,
        "method": config.method.name,
        "seed": str(config.seed),
    }


def _tags(cell: PlannedCell) -> dict[str, str]:
    config = cell.config
    tags = {**setting_tags(cell), KIND_TAG: "cell", CELL_KEY_TAG: cell.keys.cell}
    tags |= {CODE_TAG + part: digest for part, digest in code_of(config).items()}
    if config.tuning_seconds is not None:
        tags |= {TUNED_TAG: "true", TUNING_SECONDS_TAG: str(config.tuning_seconds)}
    if config.tracking.parent is not None:
        tags["mlflow.parentRunId"] = config.tracking.parent
    return tags


def _record(store: Store, run_id: str, result: CellResult, data: DataSummary) -> None:
    request = result.request
    counts = {"request/pairs": request.forget.shape[1], "request/users": len(request.users)}
    counts["request/items"] = len(request.items)
    counts |= {f"data/{name}": getattr(data, name) for name in COLD_COUNTS}
    curves = _curves("unlearn", result.trajectory)
    for role, record in (("original", result.original), ("gold", result.gold)):
        curves |= _curves(role, record.curve)
    metrics = result.measured.metrics | counts
    metrics |= _training_metrics("original", result.original) | _training_metrics("gold", result.gold)
    metrics = {name: metrics[name] for name in HEADLINES if name in metrics} | metrics
    notes = {f"note.{key}": str(value) for key, value in result.notes.items()}
    notes |= {NOT_APPLICABLE_TAG + name: why for name, why in result.measured.not_applicable.items()}
    store.log(run_id, metrics=metrics, curves=curves, tags=notes)
    store.log_arrays(run_id, "per_user.safetensors", result.measured.per_user)
    store.log_arrays(run_id, LISTS_FILE, result.measured.lists)
    if result.audit_arrays:
        store.log_arrays(run_id, "audits.safetensors", result.audit_arrays)
    store.log_json(run_id, "trajectory.json", result.trajectory)
    named = {"users": request.users, "items": request.items, "forget": request.forget}
    store.log_arrays(run_id, REQUEST_FILE, {name: ids.to(torch.int32) for name, ids in named.items()})


def _training_metrics(role: str, record: TrainingRecord) -> dict[str, float]:
    share = record.processor_share
    return ({} if share is None else {f"train/{role}_processor_share": share}) | {
        f"train/{role}_epochs": record.epochs,
        f"train/{role}_best_epoch": record.best_epoch,
        f"train/{role}_seconds": record.seconds,
        f"train/{role}_warmup_seconds": record.warmup_seconds,
    }


def _curves(prefix: str, points: list[dict[str, float]]) -> dict[str, list[tuple[int, float]]]:
    """Curves by metric name from points that carry their ``epoch``."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for point in points:
        for name, value in point.items():
            if name != "epoch":
                curves.setdefault(f"curve/{prefix}/{name}", []).append((int(point["epoch"]), float(value)))
    return curves

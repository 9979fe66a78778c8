"""Running one cell and recording it: one MLflow run, finished only when everything is in it."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from bench.cell.pipeline import CellPipeline, CellResult
from bench.cell.setting import Role, SettingStage
from bench.config.schema import CellConfig, as_json
from bench.disk.space import is_disk_full, require_space
from bench.machine.devices import describe
from bench.machine.process import differing_products
from bench.machine.seeding import deterministic
from bench.measure.evaluate import evaluating
from bench.measure.lists import LISTS_FILE
from bench.plan.code import code_of
from bench.plan.dataset import reader_of
from bench.plan.planner import PlannedCell
from bench.record.local.faults import StoreAway
from bench.record.local.parameters import parameters
from bench.record.names import (
    CELL_KEY_TAG,
    CODE_TAG,
    HEADLINES,
    KIND_TAG,
    MODEL_CELL,
    MODEL_CLASS_TAG,
    MODEL_EMBEDDINGS,
    MODEL_FOLDER,
    MODEL_WEIGHTS,
    NOT_APPLICABLE_TAG,
    REQUEST_FILE,
    THREAD_INVARIANT_TAG,
    TUNED_REMARKS_TAG,
    TUNED_RULE_TAG,
    TUNED_SECONDS_TAG,
    TUNED_TAG,
    TUNED_TRIALS_TAG,
)
from bench.record.progress import phase, reporting
from bench.record.sending import Recording
from bench.train.likeness import BEST_EPOCH, BEST_RECALL
from bench.train.record import TrainingRecord
from datasets.reader import DatasetReader
from datasets.requests import DeletionRequest
from models.base import Recommender
from models.capabilities import Capability, reason_against

log = logging.getLogger(__name__)

BLAMELESS = (KeyboardInterrupt, SystemExit, StoreAway)
"""What ends a cell that is not to blame: it is recorded as killed, and runs again by itself."""

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
    # A finished cell runs again to keep its model, too, and then its record counts.
    forced = config.run.mode == "always" or config.run.save_model
    recording = Recording(config.tracking, cell.keys.cell, config.label, _tags(cell), forced)
    try:
        with recording.heartbeat(), reporting(config.label, config.cache.dir / "progress"):
            require_space(config.cache.dir)
            require_space(config.tracking.spool)
            pipeline = CellPipeline(cell)
            device = dataclasses.asdict(describe(pipeline.setting.device))
            tags = {f"device.{key}": str(value) for key, value in device.items()}
            tags |= _promise(config)
            recording.note(parameters(config), tags)
            result = pipeline.run()
            phase("recording")
            _keep(recording, result, cell)
            run_id = recording.send()
    except BaseException as error:
        recording.fail(error, isinstance(error, BLAMELESS) or is_disk_full(error))
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


def _dataset(cell: PlannedCell, reader: DatasetReader) -> dict[str, Any]:
    """The data set as MLflow takes it: its digest is the data key, its profile the counts."""
    dataset = cell.config.dataset
    source = "synthetic" if dataset.reader == "synthetic" else str(cell.config.data_root / dataset.name)
    source = getattr(dataset.options, "path", None) or source
    profile = {**dataclasses.asdict(cell.summary), "identity": reader.identity()}
    return {"name": dataset.name, "key": cell.keys.data, "source": source, "profile": profile}


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
    tags |= _tuned_tags(cell)
    if config.tracking.parent is not None:
        tags["mlflow.parentRunId"] = config.tracking.parent
    return tags


def _tuned_tags(cell: PlannedCell) -> dict[str, str]:
    """Where tuned options come from, and what has to be said about them."""
    source = cell.config.tuning
    if source is None:
        return {}
    tags = {
        TUNED_TAG: "true",
        TUNED_RULE_TAG: source.rule,
        TUNED_TRIALS_TAG: str(source.trials),
        TUNED_SECONDS_TAG: str(source.seconds),
    }
    return tags | ({TUNED_REMARKS_TAG: "; ".join(cell.remarks)} if cell.remarks else {})


def _keep(recording: Recording, result: CellResult, cell: PlannedCell) -> None:
    """Everything that was measured, and the files beside it."""
    data, reader = cell.summary, reader_of(cell.config)
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
    files = {
        "per_user.safetensors": result.measured.per_user,
        LISTS_FILE: result.measured.lists,
        "audits.safetensors": result.audit_arrays,
        REQUEST_FILE: _named(request),
    }
    if cell.config.run.save_model:
        files |= _model(result.model)
        notes[MODEL_CLASS_TAG] = type(result.model).__name__
    with recording.keep(metrics, curves, notes, _dataset(cell, reader)) as folder:
        for name, own in files.items():
            if own or name != "audits.safetensors":
                (folder / name).parent.mkdir(exist_ok=True)
                save_file({key: value.contiguous() for key, value in own.items()}, folder / name)
        if cell.config.run.save_model:
            stated = json.dumps(_stated(cell.config), indent=1)
            (folder / MODEL_FOLDER / MODEL_CELL).write_text(stated, encoding="utf-8")
        (folder / "trajectory.json").write_text(json.dumps(result.trajectory), encoding="utf-8")
        for path in reader.documents():
            (folder / "dataset").mkdir(exist_ok=True)
            shutil.copyfile(path, folder / "dataset" / path.name)


def _named(request: DeletionRequest) -> dict[str, Tensor]:
    """What had to be forgotten, as dense ids."""
    named = {"users": request.users, "items": request.items, "forget": request.forget}
    return {name: ids.to(torch.int32) for name, ids in named.items()}


def _model(model: Recommender) -> dict[str, dict[str, Tensor]]:
    """The files of an unlearned model: what ``bench/objects/saved.py`` reads."""
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    files = {f"{MODEL_FOLDER}/{MODEL_WEIGHTS}": state}
    if not reason_against(model, {Capability.EMBEDDINGS}):
        with evaluating(model):
            users, items = model.embeddings()
        files[f"{MODEL_FOLDER}/{MODEL_EMBEDDINGS}"] = {"users": users.clone(), "items": items.clone()}
    return files


def _stated(config: CellConfig) -> dict[str, Any]:
    """The configuration in the form that ``parse_cell`` reads."""
    values = as_json(config)
    for group in ("dataset", "backbone", "method"):
        options = values[group].pop("options")
        values[group] |= options
    return values


def _training_metrics(role: str, record: TrainingRecord) -> dict[str, float]:
    share = record.processor_share
    return ({} if share is None else {f"train/{role}_processor_share": share}) | {
        f"train/{role}_epochs": record.epochs,
        BEST_EPOCH.format(role): record.best_epoch,
        BEST_RECALL.format(role): record.best_recall,
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

"""Running one cell and recording it: one MLflow run, finished only when everything is in it."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from bench.cell.pipeline import CellPipeline, CellResult
from bench.cell.setting import SettingStage
from bench.config.schema import CellConfig, as_json
from bench.disk.space import is_disk_full, require_space
from bench.machine.devices import describe
from bench.machine.process import differing_products
from bench.machine.seeding import deterministic
from bench.measure.evaluate import evaluating
from bench.measure.lists import LISTS_FILE
from bench.planning.code import code_of
from bench.planning.dataset import reader_of
from bench.planning.planner import PlannedCell
from bench.record.local.faults import StoreAway
from bench.record.local.parameters import parameters
from bench.record.names import (
    CELL_KEY_TAG,
    CODE_TAG,
    GOLD_KEYS_TAG,
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
from datasets.validation import DataSummary
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
    """Run a planned cell of one request and record it (``recorded``). Returns the MLflow run id."""

    def work(recording: Recording) -> None:
        pipeline = CellPipeline(cell)
        announce(recording, cell, pipeline.setting.device)
        result = pipeline.run()
        phase("recording")
        _keep(recording, result, cell)

    return recorded(cell, work)


def recorded(cell: PlannedCell, work: Callable[[Recording], None]) -> str:
    """The MLflow run of a cell, for which ``work`` measures and keeps its record; its id.

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
            work(recording)
            run_id = recording.send()
    except BaseException as error:
        recording.fail(error, isinstance(error, BLAMELESS) or is_disk_full(error))
        raise
    log.info("finished %s", config.label)
    return run_id


def announce(recording: Recording, cell: PlannedCell, device: torch.device) -> None:
    """Note what is known of a run before anything is measured: options, hardware."""
    config = cell.config
    tags = {f"device.{key}": str(value) for key, value in dataclasses.asdict(describe(device)).items()}
    recording.note(parameters(config), tags | _promise(config))


def train_model(cell: PlannedCell, setting: type[SettingStage] = SettingStage) -> None:
    """Train the model that ``run.stage`` names, if it is not in the cache yet. Records nothing in MLflow.

    ``setting`` makes the setting of the cell.
    """
    config = cell.config
    label = f"{config.data_name}/{config.backbone.name}/{config.run.stage}/seed {config.seed}"
    with reporting(label, config.cache.dir / "progress"):
        require_space(config.cache.dir)
        with deterministic(config.run.deterministic):
            setting(cell).train(config.run.stage)


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
    keys = dataclasses.asdict(cell.keys).items()
    tags = {f"lethe.{stage}_key": key for stage, key in keys if stage not in ("cell", "golds")}
    if cell.keys.golds:
        tags |= {"stream": config.stream.name, GOLD_KEYS_TAG: " ".join(cell.keys.golds)}
    return tags | {
        "dataset": config.data_name,
        "backbone": config.backbone.name,
        "regime": config.regime_name,
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
    counts = counts_of(result.request, cell.summary)
    curves = _curves("unlearn", result.trajectory)
    for role, record in (("original", result.original), ("gold", result.gold)):
        curves |= _curves(role, record.curve)
    metrics = result.measured.metrics | counts
    metrics |= training_metrics("original", result.original) | training_metrics("gold", result.gold)
    metrics = {name: metrics[name] for name in HEADLINES if name in metrics} | metrics
    notes = {f"note.{key}": str(value) for key, value in result.notes.items()}
    notes |= {NOT_APPLICABLE_TAG + name: why for name, why in result.measured.not_applicable.items()}
    files = {
        "per_user.safetensors": result.measured.per_user,
        LISTS_FILE: result.measured.lists,
        "audits.safetensors": result.audit_arrays,
        REQUEST_FILE: named(result.request),
    }
    keep(recording, cell, metrics, curves, notes, files, {"trajectory.json": result.trajectory}, result.model)


def keep(
    recording: Recording,
    cell: PlannedCell,
    metrics: Mapping[str, float],
    curves: Mapping[str, list[tuple[int, float]]],
    notes: dict[str, str],
    arrays: dict[str, dict[str, Tensor]],
    documents: Mapping[str, Any],
    model: Recommender,
) -> None:
    """Keep the record of a finished cell.

    Args:
        notes: its tags.
        arrays: by file name; those without any are left out.
        documents: JSON-able, by file name.
        model: what was unlearned; kept with ``run.save_model=true``.
    """
    reader = reader_of(cell.config)
    if cell.config.run.save_model:
        arrays |= _model(model)
        documents = {**documents, f"{MODEL_FOLDER}/{MODEL_CELL}": _stated(cell.config)}
        notes[MODEL_CLASS_TAG] = type(model).__name__
    with recording.keep(metrics, curves, notes, _dataset(cell, reader)) as folder:
        for name, own in arrays.items():
            (folder / name).parent.mkdir(exist_ok=True)
            if own:
                save_file({key: value.contiguous() for key, value in own.items()}, folder / name)
        for name, content in documents.items():
            (folder / name).write_text(json.dumps(content), encoding="utf-8")
        for path in reader.documents():
            (folder / "dataset").mkdir(exist_ok=True)
            shutil.copyfile(path, folder / "dataset" / path.name)


def named(request: DeletionRequest) -> dict[str, Tensor]:
    """What had to be forgotten, as dense ids: arrays of a record."""
    ids_by_name = {"users": request.users, "items": request.items, "forget": request.forget}
    return {name: ids.to(torch.int32) for name, ids in ids_by_name.items()}


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


def counts_of(request: DeletionRequest, data: DataSummary) -> dict[str, float]:
    """What was asked, and what the data set is without, in numbers."""
    counts = {"request/pairs": request.forget.shape[1], "request/users": len(request.users)}
    counts["request/items"] = len(request.items)
    return counts | {f"data/{name}": getattr(data, name) for name in COLD_COUNTS}


def training_metrics(role: str, record: TrainingRecord) -> dict[str, float]:
    """What training a model took, by MLflow name."""
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

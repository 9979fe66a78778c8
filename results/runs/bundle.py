"""Runs in one file, to move them between machines and stores: ``bundle export`` and ``bundle import``.

A bundle is a zip of one JSON file per run (tags, parameters, metrics with their history, the data set,
times) and the run's artifacts. It holds the latest finished run of every cell. Importing goes by cell
key: a cell that the store has finished is left alone, so importing twice changes nothing.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from bench.record.names import CELL_KEY_TAG, HEARTBEAT_TAG, OWNER_TAG
from datasets.errors import InputError, in_short
from results.runs.frame import PER_USER, client_of, latest, runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

VERSION = 1
MANIFEST = "bundle.json"
AGAIN = "export it again"
ORIGIN_TAG = "lethe.imported_from"
"""Run id in the store that a run was exported from."""
LOCAL_TAGS = (OWNER_TAG, HEARTBEAT_TAG, "mlflow.parentRunId")
"""They speak of processes and runs of the store they are from."""


@dataclass(frozen=True)
class Imported:
    """What an import did: cells added, and cells that were there."""

    added: int
    present: int


def export(uri: str, experiment: str, file: Path) -> int:
    """Write the finished cells of an experiment to ``file``; how many. Raises ``InputError`` for none."""
    chosen = latest(runs(uri, experiment))
    if not chosen:
        raise InputError(f"experiment={experiment} has no finished cell in {uri}: nothing to export.")
    client, partial = client_of(uri), file.with_name(f".{file.name}.partial")
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr(MANIFEST, json.dumps({"version": VERSION, "runs": [run.run_id for run in chosen]}))
        for run in chosen:
            _export_run(client, run.run_id, bundle)
    partial.replace(file)
    return len(chosen)


def import_(uri: str, experiment: str, file: Path) -> Imported:
    """Add the cells of a bundle that the experiment has not finished. Raises ``InputError``."""
    from bench.config.schema import TrackingConfig
    from bench.record.store import Store

    with _opened(file) as bundle:
        ids = _manifest(bundle, file)
        contents = {run_id: _content(bundle, run_id, file) for run_id in ids}
        store = Store(TrackingConfig(uri=uri, experiment=experiment))
        client = store.client
        recorded = runs(uri, experiment)
        finished = {run.cell_key for run in recorded if run.finished}
        halves = {
            run.tags[ORIGIN_TAG]: run.run_id
            for run in recorded
            if not run.finished and ORIGIN_TAG in run.tags
        }
        home = store.experiment_id
        added = 0
        for run_id in ids:
            content = contents[run_id]
            if content["tags"][CELL_KEY_TAG] in finished:
                continue
            if run_id in halves:  # an import that was cut off
                client.delete_run(halves[run_id])
            _import_run(client, home, run_id, content, bundle)
            finished.add(content["tags"][CELL_KEY_TAG])
            added += 1
    return Imported(added, len(ids) - added)


def _export_run(client: MlflowClient, run_id: str, bundle: zipfile.ZipFile) -> None:
    run = client.get_run(run_id)
    content = {
        "name": run.info.run_name,
        "start": run.info.start_time,
        "end": run.info.end_time,
        "tags": {key: value for key, value in run.data.tags.items() if key not in LOCAL_TAGS},
        "params": dict(run.data.params),
        "metrics": {key: _history(client, run_id, key) for key in sorted(run.data.metrics)},
        "inputs": _inputs(run),
    }
    bundle.writestr(f"runs/{run_id}.json", json.dumps(content, sort_keys=True))
    paths = sorted(_artifacts(client, run_id, ""))
    if PER_USER not in paths:
        raise InputError(
            f"run {run_id} has no {PER_USER} at {run.info.artifact_uri}, where every finished cell "
            "has it: bring "
            "the folder of the artifacts back to where it was, then export again."
        )
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            bundle.write(client.download_artifacts(run_id, path, folder), f"artifacts/{run_id}/{path}")


def _history(client: MlflowClient, run_id: str, key: str) -> list[tuple[float, int, int]]:
    return [(point.value, point.timestamp, point.step) for point in client.get_metric_history(run_id, key)]


def _inputs(run: Run) -> list[dict[str, Any]]:
    given = run.inputs.dataset_inputs if run.inputs else []
    return [
        {"dataset": one.dataset.to_dictionary(), "tags": {tag.key: tag.value for tag in one.tags}}
        for one in given
    ]


def _artifacts(client: MlflowClient, run_id: str, folder: str) -> Iterator[str]:
    for entry in client.list_artifacts(run_id, folder or None):
        if entry.is_dir:
            yield from _artifacts(client, run_id, entry.path)
        else:
            yield entry.path


def _import_run(
    client: MlflowClient, home: str, origin: str, content: dict[str, Any], bundle: zipfile.ZipFile
) -> None:
    """One run; it counts as finished only when everything is in it."""
    from mlflow.entities import Param

    from bench.record.owner import owner_tags

    tags = {**owner_tags(), **content["tags"], ORIGIN_TAG: origin}
    run = client.create_run(home, start_time=content["start"], tags=tags, run_name=content["name"])
    run_id = run.info.run_id
    params = [Param(key, value) for key, value in content["params"].items()]
    for start in range(0, len(params), 100):
        client.log_batch(run_id, params=params[start : start + 100])
    _import_metrics(client, run_id, content["metrics"])
    _import_inputs(client, run_id, content["inputs"])
    with tempfile.TemporaryDirectory() as folder:
        for name in _names_below(bundle, f"artifacts/{origin}/"):
            path = PurePosixPath(name).relative_to(f"artifacts/{origin}")
            parent = None if str(path.parent) == "." else str(path.parent)
            client.log_artifact(run_id, _unpacked(bundle, name, Path(folder) / path.name), parent)
    client.set_terminated(run_id, "FINISHED", content["end"])


def _import_metrics(client: MlflowClient, run_id: str, metrics: dict[str, list[list[Any]]]) -> None:
    from mlflow.entities import Metric

    points = [Metric(key, *point) for key, history in metrics.items() for point in history]
    for start in range(0, len(points), 1000):
        client.log_batch(run_id, metrics=points[start : start + 1000])


def _import_inputs(client: MlflowClient, run_id: str, inputs: list[dict[str, Any]]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    if inputs:
        made = [
            DatasetInput(Dataset(**one["dataset"]), [InputTag(*tag) for tag in one["tags"].items()])
            for one in inputs
        ]
        client.log_inputs(run_id, made)


def _opened(file: Path) -> zipfile.ZipFile:
    if not file.is_file():
        raise InputError(f"bundle={file} does not exist: give the path of a file that bundle export wrote.")
    if not zipfile.is_zipfile(file):
        raise InputError(f"bundle={file} is no bundle: give the path of a file that bundle export wrote.")
    return zipfile.ZipFile(file)


def _content(bundle: zipfile.ZipFile, run_id: str, file: Path) -> dict[str, Any]:
    """What a bundle says of a run. Raises ``InputError`` where that is not what ``export`` writes."""
    try:
        content = json.loads(bundle.read(f"runs/{run_id}.json"))
        sound = isinstance(content["tags"][CELL_KEY_TAG], str) and isinstance(content["name"], str)
        sound &= all(
            isinstance(value, str) for part in ("tags", "params") for value in content[part].values()
        )
        for history in content["metrics"].values():
            sound &= all(len(point) == 3 and float(point[0]) is not None for point in history)
        sound &= all(one["dataset"].keys() and one["tags"] is not None for one in content["inputs"])
        sound &= all(isinstance(content[key], int | None) for key in ("start", "end"))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, zipfile.BadZipFile) as error:
        raise InputError(
            f"bundle={file} holds no sound run {in_short(run_id)} ({in_short(error)}): {AGAIN}."
        ) from error
    outside = [name for name in _names_below(bundle, f"artifacts/{run_id}/") if not _stays_inside(name)]
    if outside or not sound:
        what = (
            f"has the artifact {in_short(outside[0])}, which leaves its folder" if outside else "is malformed"
        )
        raise InputError(f"bundle={file}: run {in_short(run_id)} {what}: {AGAIN}.")
    return dict(content)


def _stays_inside(name: str) -> bool:
    """Whether the path of an artifact leads to where it says."""
    parts = PurePosixPath(name).parts
    return not name.startswith("/") and ".." not in parts and "\\" not in name and not name.endswith("/")


def _manifest(bundle: zipfile.ZipFile, file: Path) -> list[str]:
    try:
        content = json.loads(bundle.read(MANIFEST)) if MANIFEST in bundle.namelist() else {}
    except (ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise InputError(f"bundle={file} has no readable {MANIFEST} ({in_short(error)}): {AGAIN}.") from error
    if not isinstance(content, dict) or not isinstance(content.get("runs", []), list):
        content = {}
    if content.get("version") != VERSION:
        raise InputError(
            f"bundle={file} has version {content.get('version')} and this program reads {VERSION}: "
            "export it again with the same version."
        )
    return [str(run_id) for run_id in content["runs"]]


def _names_below(bundle: zipfile.ZipFile, prefix: str) -> list[str]:
    return [name for name in bundle.namelist() if name.startswith(prefix)]


def _unpacked(bundle: zipfile.ZipFile, name: str, target: Path) -> Path:
    target.write_bytes(bundle.read(name))
    return target

"""MLflow: the only record of what was measured. One run per cell, one parent run per sweep."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from safetensors.torch import save_file
from torch import Tensor

from bench.config.schema import TrackingConfig
from bench.disk.locks import held
from bench.machine.background import alongside
from bench.record.local.database import SQLITE, Ended, is_absent, is_local, path_of
from bench.record.local.faults import reaching
from bench.record.local.reach import require
from bench.record.local.spool import Point
from bench.record.names import CELL_KEY_TAG, FAILURE_TAG, HEARTBEAT_TAG, KIND_TAG, RETIRED_TAG
from bench.record.owner import HEARTBEAT_SECONDS, heartbeat, owner_tags, why_gone

PACKAGES = ("torch", "torch-geometric", "mlflow", "hydra-core", "numpy")
log = logging.getLogger(__name__)

BATCH = {"metrics": 1000, "params": 100}
"""MLflow's limits for one log_batch call."""


HTTP = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""MLflow's own patience with a server, where the environment states none: its defaults are minutes of
silence.
What is not sent is kept (``bench/record/local/spool.py``)."""


class Store:
    """An MLflow experiment that exists. What its client cannot do for the store's sake raises
    ``StoreAway``.
    """

    def __init__(self, tracking: TrackingConfig) -> None:
        _silence()
        for name, value in HTTP.items():
            os.environ.setdefault(name, value)
        self.uri = tracking.uri
        with reaching(tracking.uri):
            client, self.experiment_id = _opened(tracking, Path.cwd())
        self.client = cast(MlflowClient, _Reaching(client, tracking.uri))

    def start(self, name: str, tags: Mapping[str, str], at: int | None = None) -> str:
        """A new run in state RUNNING, owned by this process; its id. ``at``: when it began, in
        milliseconds.
        """
        every = {**provenance(), **owner_tags(), **tags}
        run = self.client.create_run(self.experiment_id, start_time=at, run_name=name, tags=every)
        return str(run.info.run_id)

    @contextmanager
    def heartbeat(self, run_id: str) -> Iterator[None]:
        """Let a run show, for the time of the block, that its process lives."""

        def beat(stop: threading.Event) -> None:
            while not stop.wait(HEARTBEAT_SECONDS):
                try:
                    self.client.set_tag(run_id, HEARTBEAT_TAG, heartbeat())
                except (MlflowException, OSError) as error:
                    log.warning("the heartbeat of run %s did not reach the store: %s", run_id, error)

        with alongside(beat):
            yield

    def log(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        curves: Mapping[str, list[tuple[int, float]]] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log a stage at once. Curves are lists of (step, value)."""
        now = int(time.time() * 1000)
        points = [(key, value, now, 0) for key, value in (metrics or {}).items()]
        points += [(key, value, now, step) for key, own in (curves or {}).items() for step, value in own]
        entries = [Param(key, str(value)) for key, value in (params or {}).items()]
        run_tags = [RunTag(key, value) for key, value in (tags or {}).items()]
        self.client.log_batch(run_id, tags=run_tags)
        self.log_points(run_id, points)
        for start in range(0, len(entries), BATCH["params"]):
            self.client.log_batch(run_id, params=entries[start : start + BATCH["params"]])

    def log_points(self, run_id: str, points: Sequence[Point]) -> None:
        """Values of metrics with their times and steps; the same value twice is one."""
        every = [Metric(*point) for point in points]
        for start in range(0, len(every), BATCH["metrics"]):
            self.client.log_batch(run_id, metrics=every[start : start + BATCH["metrics"]])

    def log_dataset(self, run_id: str, name: str, key: str, source: str, profile: Mapping[str, Any]) -> None:
        """Attach the data set: its digest is the data key, its profile the counts."""
        dataset = Dataset(name, key, "local", source, profile=json.dumps(profile))
        self.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def log_arrays(
        self, run_id: str, file_name: str, arrays: Mapping[str, Tensor], folder: str | None = None
    ) -> None:
        """Store tensors as one safetensors artifact, below ``folder`` where one is named."""
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / file_name
            save_file({name: array.contiguous() for name, array in arrays.items()}, path)
            self.client.log_artifact(run_id, str(path), folder)

    def log_json(self, run_id: str, file_name: str, content: Any) -> None:
        """Store JSON as an artifact."""
        self.client.log_dict(run_id, content, file_name)

    def log_files(self, run_id: str, paths: Iterable[Path], folder: str) -> None:
        """Store copies of files as artifacts below ``folder``."""
        for path in paths:
            self.client.log_artifact(run_id, str(path), folder)

    def finish(self, run_id: str) -> None:
        """Mark a run as finished: only now does its cell count as done."""
        self.client.set_terminated(run_id, "FINISHED")

    def fail(self, run_id: str, error: BaseException, status: str = "FAILED") -> None:
        """Mark a run as failed (or killed), with its cause as a tag and the stack as an artifact."""
        self.close(run_id, f"{type(error).__name__}: {error}", status)
        stack = "".join(traceback.format_exception(error))
        self.client.log_text(run_id, stack, "failure.txt")

    def close(self, run_id: str, cause: str, status: str = "KILLED") -> None:
        """End a run that did not finish."""
        self.client.set_tag(run_id, FAILURE_TAG, cause[:4000])
        self.client.set_terminated(run_id, status)

    def close_lost(self) -> list[str]:
        """Mark runs whose process is provably gone as killed; their names with the reasons."""
        closed = []
        for run in self.runs("attributes.status = 'RUNNING'"):
            reason = why_gone(run.data.tags)
            if reason is not None:
                self.close(run.info.run_id, f"killed: {reason}")
                closed.append(f"{run.info.run_name}: {reason}")
        return closed

    def close_replaced(self, parent: str, cell: str) -> None:
        """Mark an earlier, unfinished run of a cell in the same sweep as killed.

        A sweep runs a cell anew only after its launcher lost the worker.
        """
        same = f"tags.mlflow.parentRunId = '{parent}' and tags.`{CELL_KEY_TAG}` = '{cell}'"
        for run in self.runs(f"attributes.status = 'RUNNING' and {same}"):
            self.close(run.info.run_id, "killed: its worker was lost and the cell was started again")

    def runs(self, filter_string: str) -> list[Run]:
        """All active runs of the experiment that match."""
        return every_run(self.client, self.experiment_id, filter_string)


def reading(uri: str) -> MlflowClient:
    """A client of a store that is only read: no experiment is made."""
    _silence()
    return MlflowClient(tracking_uri=uri)


def _silence() -> None:
    """Keep MLflow's chatter off standard error."""
    for noisy in ("alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def existing(tracking: TrackingConfig) -> Store | None:
    """The experiment where it is there; nothing is created. Raises ``StoreAway``."""
    if is_absent(tracking.uri):
        return None
    if not is_local(tracking.uri):
        require(tracking.uri, writing=False)
    with reaching(tracking.uri):
        there = MlflowClient(tracking_uri=tracking.uri).get_experiment_by_name(tracking.experiment)
    return None if there is None else Store(tracking)


class _Reaching:
    """A client whose calls raise ``StoreAway`` for what is the store's fault."""

    def __init__(self, client: MlflowClient, uri: str) -> None:
        self._client, self._uri = client, uri

    def __getattr__(self, name: str) -> Callable[..., Any]:
        own = getattr(self._client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            with reaching(self._uri):
                return own(*arguments, **named)

        return call


def every_run(client: MlflowClient, experiment_id: str, filter_string: str) -> list[Run]:
    """All active runs of an experiment that match, oldest end first, whatever MLflow's page size."""
    found: list[Run] = []
    token: str | None = None
    while token is None or token:
        page = client.search_runs(
            [experiment_id],
            filter_string,
            max_results=1000,
            page_token=token,
            order_by=["attributes.end_time"],
        )
        found += page
        token = page.token or ""
    return found


def ended_runs(tracking: TrackingConfig, cell: str | None) -> list[Ended]:
    """Ended runs of all cells of an experiment, or of one; oldest first, none where it does not exist.

    Retired runs are left out.
    """
    store = existing(tracking)
    if store is None:
        return []
    wanted = f"tags.`{KIND_TAG}` = 'cell' and attributes.status != 'RUNNING'"
    if cell is not None:
        wanted += f" and tags.`{CELL_KEY_TAG}` = '{cell}'"
    return [
        (run.data.tags[CELL_KEY_TAG], run.info.run_id, run.info.status, run.data.tags.get(FAILURE_TAG))
        for run in store.runs(wanted)
        if RETIRED_TAG not in run.data.tags
    ]


@cache
def provenance() -> dict[str, str]:
    """Tags that say which code and which packages ran."""
    tags = {f"version.{package}": version(package) for package in PACKAGES}
    root = Path(__file__).resolve().parent
    try:
        commit = _git(root, "rev-parse", "HEAD")
        dirty = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return {**tags, "lethe.commit": "unknown (not a git checkout)"}
    return {**tags, "mlflow.source.git.commit": commit, "lethe.commit": commit + ("-dirty" if dirty else "")}


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def store_lock(database: Path) -> Path:
    """The lock under which a SQLite store is opened."""
    return database.with_name(f"{database.name}.lock")


@cache
def _opened(tracking: TrackingConfig, folder: Path) -> tuple[MlflowClient, str]:
    """Client and experiment, opened once per process; ``folder`` is what a relative URI refers to.

    Serialised by a file lock for SQLite: processes that create the schema at the same time break
    each other.
    """
    if not is_local(tracking.uri):
        require(tracking.uri)
        return _open(tracking, None)
    database = folder / path_of(tracking.uri)
    database.parent.mkdir(parents=True, exist_ok=True)
    with held(store_lock(database), f"opening {database}"):
        if not database.exists():
            _create(database)
        # MLflow keeps stores by URI: a relative one would stay with the folder it was first used in.
        settled = replace(tracking, uri=f"{SQLITE}{database.absolute()}")
        return _open(settled, database.with_name("mlartifacts").absolute().as_uri())


def _create(database: Path) -> None:
    """A SQLite store that is either whole or not there.

    MLflow creates its schema in many steps; killed in between, it would never open the file again.
    """
    new = database.with_name(f".{database.name}.new")
    for part in database.parent.glob(f"{new.name}*"):  # with journals: of a process killed right here
        part.unlink()
    MlflowClient(tracking_uri=f"{SQLITE}{new}").search_experiments()
    new.rename(database)


def _open(tracking: TrackingConfig, artifacts: str | None) -> tuple[MlflowClient, str]:
    client = MlflowClient(tracking_uri=tracking.uri)
    experiment = client.get_experiment_by_name(tracking.experiment)
    if experiment is not None:
        return client, str(experiment.experiment_id)
    try:
        return client, str(client.create_experiment(tracking.experiment, artifact_location=artifacts))
    except MlflowException:
        # Another machine created it in between; anything else fails again in the look-up.
        existing = client.get_experiment_by_name(tracking.experiment)
        if existing is None:
            raise
        return client, str(existing.experiment_id)

"""What MLflow holds about cells, and nothing else: runs, the frame of finished cells, per-user arrays.

``runs`` gives every recorded run of a cell with all that was logged; ``cells`` is the flat frame that
leaderboards and pages start from; ``per_user`` reads the arrays behind a run's means.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from safetensors.numpy import load_file

from bench.config.schema import TrackingConfig
from bench.record.local.database import is_absent
from bench.record.names import CELL_KEY_TAG, FAILURE_TAG, KIND_TAG, RETIRED_TAG, TRIAL_KEY_TAG
from bench.record.store import every_run, reading
from bench.tune.record import tuning
from results.runs.at import REQUEST_PARAM, STREAM_PARAM, At

if TYPE_CHECKING:
    import numpy as np
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from numpy.typing import NDArray

LABELS = ("dataset", "backbone", "regime", "method", "seed")
PER_USER = "per_user.safetensors"


@dataclass(frozen=True)
class CellRun:
    """One MLflow run of a cell.

    ``labels`` has the keys of ``LABELS``; ``params``, ``metrics`` and ``tags`` are all that was logged;
    ``ended`` is the time of its end in milliseconds, 0 while it runs; ``cause`` says why it failed.
    """

    run_id: str
    cell_key: str
    status: str
    labels: dict[str, str]
    params: dict[str, str] = field(repr=False)
    metrics: dict[str, float] = field(repr=False)
    tags: dict[str, str] = field(repr=False)
    ended: int = 0

    @property
    def seed(self) -> int:
        """The training seed."""
        return int(self.labels["seed"])

    @property
    def request(self) -> int:
        """The seed of its deletion request, or of its stream of them; of an explicit list the number that was
        recorded with it."""
        return int(self.params.get(STREAM_PARAM) or self.params.get(REQUEST_PARAM, "0"))

    @property
    def at(self) -> At:
        """Request and training seed."""
        return At(self.request, self.seed)

    @property
    def finished(self) -> bool:
        """Whether everything of the cell is recorded."""
        return self.status == "FINISHED"

    @property
    def cause(self) -> str:
        """Why the run failed or was killed, "" where it did not or nothing is known."""
        return self.tags.get(FAILURE_TAG, "")


def client_of(uri: str) -> MlflowClient:
    """A client of the store, without MLflow's chatter on standard error."""
    return reading(uri)


def runs(uri: str, experiment: str, where: str = "") -> list[CellRun]:
    """Every run of a cell in the experiment, oldest end first; none where it does not exist.

    Runs that were retired (``results.runs.retire``) are no results and are left out. ``where`` is a further
    condition in MLflow's filter language.
    """
    return [run for run in _read(uri, experiment, "cell", where) if RETIRED_TAG not in run.tags]


def retired(uri: str, experiment: str) -> list[CellRun]:
    """The runs of cells that were taken out, oldest end first."""
    return [run for run in _read(uri, experiment, "cell", "") if RETIRED_TAG in run.tags]


def trials(uri: str, experiment: str) -> list[CellRun]:
    """Every trial of a tune for the experiment, oldest end first; a trial's key stands for that of a cell."""
    return _read(uri, tuning(TrackingConfig(uri, experiment)).experiment, "trial", "")


def _read(uri: str, experiment: str, kind: str, where: str) -> list[CellRun]:
    if is_absent(uri):
        return []
    client = client_of(uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    wanted = f"tags.`{KIND_TAG}` = '{kind}'" + (f" and {where}" if where else "")
    every = [_cell_run(run) for run in every_run(client, str(found.experiment_id), wanted)]
    return sorted(every, key=lambda run: (run.ended, run.run_id))


def latest(every: Iterable[CellRun]) -> list[CellRun]:
    """The latest finished run of each cell, sorted by labels: equal stores give equal lists."""
    by_key = {run.cell_key: run for run in every if run.finished}
    return sorted(
        by_key.values(),
        key=lambda run: (*(run.labels[label] for label in LABELS), run.request, run.cell_key),
    )


def cells(uri: str, experiment: str) -> pd.DataFrame:
    """Finished cells with columns ``run_id``, ``cell_key``, the labels, ``request``, and one per metric.

    The latest run counts where a cell was forced again. Rows are sorted by label, so equal stores
    give equal frames. Empty where the experiment does not exist or holds no finished cell.
    """
    return frame(latest(runs(uri, experiment)))


def frame(chosen: Iterable[CellRun], extra: Mapping[str, Mapping[str, Any]] | None = None) -> pd.DataFrame:
    """Runs as a frame in their order; ``extra`` gives more columns by run id."""
    columns = ["run_id", "cell_key", *LABELS, "request"]
    rows = [
        {
            "run_id": run.run_id,
            "cell_key": run.cell_key,
            **run.labels,
            "request": run.request,
            **(extra or {}).get(run.run_id, {}),
            **dict(sorted(run.metrics.items())),
        }
        for run in chosen
    ]
    return pd.DataFrame(rows, columns=None if rows else columns)


def per_user(uri: str, run_id: str) -> dict[str, NDArray[np.generic]]:
    """Per-user arrays of a run by name, e.g. ``test/users`` [U] and ``test/recall_at_20`` [U].

    Empty where the run logged none.
    """
    client = client_of(uri)
    if PER_USER not in {artifact.path for artifact in client.list_artifacts(run_id)}:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        return dict(load_file(Path(client.download_artifacts(run_id, PER_USER, folder))))


def _cell_run(run: Run) -> CellRun:
    return CellRun(
        run.info.run_id,
        run.data.tags.get(CELL_KEY_TAG) or run.data.tags[TRIAL_KEY_TAG],
        run.info.status,
        {label: run.data.tags[label] for label in LABELS},
        dict(run.data.params),
        dict(run.data.metrics),
        dict(run.data.tags),
        run.info.end_time or 0,
    )
